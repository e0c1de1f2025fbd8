package org.qlora4j.tensor;

import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * Counts the native bytes that live tensors hold. Views count nothing; bytes go when the last view
 * is closed. On a thread that {@linkplain MetaDevice computes without memory} the methods tell of
 * its own tensors: the bytes that they would hold.
 */
public final class NativeMemory {
    private static final Counter PROCESS = new Counter();
    private static final ThreadLocal<@Nullable Counter> ON_META = new ThreadLocal<>();
    private static final AtomicLong FREED_BY_SCOPE = new AtomicLong();

    private NativeMemory() {}

    /** Bytes held now. */
    public static long liveBytes() {
        return counter().live.get();
    }

    /** Most bytes held at once since start or {@link #resetPeak}. */
    public static long peakBytes() {
        return counter().peak.get();
    }

    public static void resetPeak() {
        Counter counter = counter();
        counter.peak.set(counter.live.get());
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

    private static Counter counter() {
        Counter own = ON_META.get();
        return own == null ? PROCESS : own;
    }

    /** Whether this thread computes without memory. */
    static boolean onMeta() {
        return ON_META.get() != null;
    }

    /** Begins to count apart what this thread makes without memory, or ends it. */
    static void countOnMeta(boolean begin) {
        if (begin) {
            ON_META.set(new Counter());
        } else {
            ON_META.remove();
        }
    }

    /** Bytes held, and the most that ever were. */
    private static final class Counter {
        private final AtomicLong live = new AtomicLong();
        private final AtomicLong peak = new AtomicLong();

        void add(long bytes) {
            long now = live.addAndGet(bytes);
            peak.accumulateAndGet(now, Math::max);
        }
    }

    /** The memory behind a tensor and its views. Confined to the thread that computes. */
    static final class Storage {
        private final Counter counter = counter();
        private final long bytes;
        private int handles;

        Storage(long bytes) {
            this.bytes = bytes;
        }

        void retain() {
            if (handles++ == 0) {
                counter.add(bytes);
            }
        }

        void release() {
            if (--handles == 0) {
                counter.add(-bytes);
            }
        }
    }
}
