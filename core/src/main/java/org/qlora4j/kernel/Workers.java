package org.qlora4j.kernel;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The one fixed pool of threads that vector kernels share: as many as libtorch has, the calling
 * thread included. Work is split by its shape, never by the number of threads, so that results do
 * not depend on it. One caller at a time, and never while libtorch computes.
 */
final class Workers {
    private static final int SPINS =
            2_000; // about 50 us: shorter than a futex wake-up, so that runs of kernels stay hot

    /** {@link #runLines} makes tasks larger rather than more: each costs two atomics. */
    static final int MOST_TASKS = 64;

    private final Thread[] helpers;
    private volatile @Nullable Job job;

    /**
     * The tasks of one run, in as many shares as there are threads. A thread takes the tasks of its
     * own share in their order, then those that others have left: what it reads then mostly follows
     * what it read before, as the processor's prefetch expects. Tasks dealt out in turns took 1.4
     * times as long on weights beyond the cache.
     */
    private static final class Job {
        /** Ints of two cache lines, so that counters do not share one. */
        private static final int LINE = 32;

        final int tasks;
        final int shares;
        final IntConsumer task;
        final AtomicIntegerArray taken;
        final AtomicInteger done = new AtomicInteger();
        final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
        final Thread caller = Thread.currentThread();

        Job(int tasks, int shares, IntConsumer task) {
            this.tasks = tasks;
            this.shares = shares;
            this.task = task;
            taken = new AtomicIntegerArray((shares + 1) * LINE);
        }

        /**
         * @param own the share that this thread begins with
         */
        void work(int own) {
            for (int i = 0; i < shares; i++) {
                workOn((own + i) % shares);
            }
        }

        private void workOn(int share) {
            int first = firstOf(share);
            int end = firstOf(share + 1);
            int i;
            while ((i = first + taken.getAndIncrement((share + 1) * LINE)) < end) {
                try {
                    task.accept(i);
                } catch (Throwable t) {
                    failure.compareAndSet(null, t);
                }
                if (done.incrementAndGet() == tasks) {
                    LockSupport.unpark(caller);
                }
            }
        }

        private int firstOf(int share) {
            return (int) ((long) share * tasks / shares);
        }
    }

    /** A pool of {@code threads} threads, at least 1: the caller and daemons. */
    Workers(int threads) {
        helpers = new Thread[Math.max(1, threads) - 1];
        for (int i = 0; i < helpers.length; i++) {
            int share = i + 1;
            helpers[i] = new Thread(() -> serve(share), "qlora4j-kernel-" + (i + 1));
            helpers[i].setDaemon(true);
            helpers[i].start();
        }
    }

    int threads() {
        return helpers.length + 1;
    }

    /** Work on neighbouring lines. */
    interface Lines {
        void accept(int first, int end);
    }

    /**
     * Runs lines 0 … count-1 in tasks of neighbours, which follow from the arguments alone.
     *
     * @param fewest lines of a task, but for the last
     */
    void runLines(int count, int fewest, Lines lines) {
        int ofTask = Math.max(Math.max(1, fewest), Math.ceilDiv(count, MOST_TASKS));
        run(
                Math.ceilDiv(count, ofTask),
                task -> lines.accept(task * ofTask, Math.min(count, (task + 1) * ofTask)));
    }

    /**
     * Runs tasks 0 … count-1, in any order, and returns when all are done; the first exception is
     * rethrown.
     */
    synchronized void run(int count, IntConsumer task) {
        if (count <= 1 || helpers.length == 0) {
            for (int i = 0; i < count; i++) {
                task.accept(i);
            }
            return;
        }
        Job mine = new Job(count, threads(), task);
        job = mine;
        for (Thread helper : helpers) {
            LockSupport.unpark(helper);
        }
        mine.work(0);
        for (int spin = 0; mine.done.get() < count; spin++) {
            if (spin < SPINS) {
                Thread.onSpinWait();
            } else {
                LockSupport.park(this);
            }
        }
        job = null;
        Throwable failure = mine.failure.get();
        if (failure instanceof RuntimeException e) {
            throw e;
        }
        if (failure instanceof Error e) {
            throw e;
        }
    }

    private void serve(int share) {
        Job seen = null;
        int idle = 0;
        while (true) {
            Job current = job;
            if (current != null && current != seen) {
                current.work(share);
                seen = current;
                idle = 0;
            } else if (++idle < SPINS) {
                Thread.onSpinWait();
            } else {
                seen = null; // let a finished job be collected
                LockSupport.park(this);
                idle = 0;
            }
        }
    }
}
