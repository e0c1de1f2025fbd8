package org.qlora4j.data;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Reads rows on a thread of its own. A reader that a damaged file sends round in circles is so
 * given up instead of waited for. Java cannot end such a thread; it is a daemon and ends with the
 * process.
 */
final class Watchdog implements Source.Rows {
    private static final int BATCH = 64;
    private static final int BATCHES = 4;

    /** What a batch may take, of the clock's time and of the process's, for its threads work. */
    private static final long BUSY_NANOS = 3_000_000_000L;

    /** What it may take while the machine has a core to spare: its threads wait for one another. */
    private static final long IDLE_NANOS = 4_000_000_000L;

    /** Share of all cores beyond which none is to spare. */
    private static final double FULL = 0.9;

    /** What it may take by the clock alone, on a machine that has no time for it. */
    private static final long WALL_NANOS = 20_000_000_000L;

    /** A file gave no row; the threads that read it go on until the process ends. */
    static final String ENDLESS = "it gives no row, and no end";

    private static final int POLL_MILLIS = 100;

    /** Bytes of a file that are read in a second, even by a slow machine. */
    private static final long BYTES_A_SECOND = 8 << 20;

    /** Opens the rows that are watched. */
    @FunctionalInterface
    interface Opening {
        Source.Rows open();
    }

    /** Rows, or what ended them. */
    private record Batch(List<Row> rows, boolean isLast, @Nullable RuntimeException failure) {}

    private final BlockingQueue<Batch> batches = new ArrayBlockingQueue<>(BATCHES);
    private final Thread thread;
    private final long patience;
    private final Function<String, RuntimeException> unreadable;
    private Batch batch = new Batch(List.of(), false, null);
    private int at = 0;
    private volatile boolean closed = false;

    /**
     * Starts to read.
     *
     * @param fileBytes size of the file, which a longer wait goes with
     * @param unreadable what to throw, of a reason: where no row comes, or memory ends
     */
    Watchdog(Opening opening, long fileBytes, Function<String, RuntimeException> unreadable) {
        this.patience = fileBytes / BYTES_A_SECOND * 1_000_000_000L;
        this.unreadable = unreadable;
        this.thread = Thread.ofPlatform().daemon().name("parquet").start(() -> read(opening));
    }

    private void read(Opening opening) {
        try (Source.Rows rows = opening.open()) {
            boolean more = true;
            while (more && !closed) {
                List<Row> some = new ArrayList<>(BATCH);
                RuntimeException failure = null;
                while (more && some.size() < BATCH) {
                    try {
                        Row row = rows.next();
                        more = row != null;
                        if (row != null) {
                            some.add(row);
                        }
                    } catch (RuntimeException e) {
                        failure = e;
                        more = false;
                    }
                }
                batches.put(new Batch(some, !more, failure));
            }
        } catch (RuntimeException e) {
            offer(e);
        } catch (StackOverflowError | OutOfMemoryError e) {
            offer(unreadable.apply(e.toString()));
        } catch (InterruptedException e) { // closed
            Thread.currentThread().interrupt();
        }
    }

    private void offer(RuntimeException failure) {
        if (!batches.offer(new Batch(List.of(), true, failure))) {
            batches.clear();
            batches.add(new Batch(List.of(), true, failure));
        }
    }

    @Override
    public @Nullable Row next() {
        while (at == batch.rows.size()) {
            if (batch.failure != null) {
                throw batch.failure;
            }
            if (batch.isLast) {
                return null;
            }
            batch = await();
            at = 0;
        }
        return batch.rows.get(at++);
    }

    private Batch await() {
        long start = System.nanoTime();
        long cpuStart = cpuNanos();
        long idle = 0;
        try {
            while (true) {
                Batch next = batches.poll(POLL_MILLIS, TimeUnit.MILLISECONDS);
                if (next != null) {
                    return next;
                }
                long wall = System.nanoTime() - start;
                boolean isLong = wall > BUSY_NANOS + patience;
                boolean isBusy = cpuNanos() - cpuStart > BUSY_NANOS + patience;
                idle += hasCoreToSpare() ? POLL_MILLIS * 1_000_000L : 0;
                if ((isLong && isBusy)
                        || idle > IDLE_NANOS + patience
                        || wall > WALL_NANOS + patience) {
                    close();
                    throw unreadable.apply(ENDLESS);
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            close();
            throw new IllegalStateException("interrupted while a file was read", e);
        } catch (OutOfMemoryError e) { // what the reader's threads took, this one finds missing
            close();
            throw unreadable.apply(e.toString());
        }
    }

    /** Whether the machine was not full since it was asked before; false where nobody knows. */
    private static boolean hasCoreToSpare() {
        double load =
                ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system
                        ? system.getCpuLoad()
                        : -1;
        return load >= 0 && load < FULL;
    }

    /** Time of all threads of the process, since readers work in threads of their own. */
    private static long cpuNanos() {
        return ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system
                ? system.getProcessCpuTime()
                : 0;
    }

    @Override
    public void close() {
        closed = true;
        thread.interrupt();
        batches.clear();
    }
}
