package org.qlora4j.tensor;

import java.util.concurrent.atomic.AtomicLong;

/**
 * Counts the native bytes that live tensors hold. Views count nothing; bytes go when the last view
 * is closed.
 */
public final class NativeMemory {
    private static final AtomicLong LIVE = new AtomicLong();
    private static final AtomicLong PEAK = new AtomicLong();
    private static final AtomicLong FREED_BY_SCOPE = new AtomicLong();

    private NativeMemory() {}

    /** Bytes held now. */
    public static long liveBytes() {
        return LIVE.get();
    }

    /** Most bytes held at once since start or {@link #resetPeak}. */
    public static long peakBytes() {
        return PEAK.get();
    }

    public static void resetPeak() {
        PEAK.set(LIVE.get());
    }

    /**
     * How many tensors scopes opened by {@link TensorScope#openSafetyNet} had to free since start:
     * a training step should add none.
     */
    public static long freedBySafetyNet() {
        return FREED_BY_SCOPE.get();
    }

    static void countFreedBySafetyNet(int tensors) {
        FREED_BY_SCOPE.addAndGet(tensors);
    }

    /** The memory behind a tensor and its views. Confined to the thread that computes. */
    static final class Storage {
        private final long bytes;
        private int handles;

        Storage(long bytes) {
            this.bytes = bytes;
        }

        void retain() {
            if (handles++ == 0) {
                long live = LIVE.addAndGet(bytes);
                PEAK.accumulateAndGet(live, Math::max);
            }
        }

        void release() {
            if (--handles == 0) {
                LIVE.addAndGet(-bytes);
            }
        }
    }
}
