package org.qlora4j.kernel;

import java.util.concurrent.atomic.AtomicInteger;
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

    private final Thread[] helpers;
    private volatile @Nullable Job job;

    private static final class Job {
        final int tasks;
        final IntConsumer task;
        final AtomicInteger next = new AtomicInteger();
        final AtomicInteger done = new AtomicInteger();
        final AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
        final Thread caller = Thread.currentThread();

        Job(int tasks, IntConsumer task) {
            this.tasks = tasks;
            this.task = task;
        }

        void work() {
            int i;
            while ((i = next.getAndIncrement()) < tasks) {
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
    }

    /** A pool of {@code threads} threads, at least 1: the caller and daemons. */
    Workers(int threads) {
        helpers = new Thread[Math.max(1, threads) - 1];
        for (int i = 0; i < helpers.length; i++) {
            helpers[i] = new Thread(this::serve, "qlora4j-kernel-" + (i + 1));
            helpers[i].setDaemon(true);
            helpers[i].start();
        }
    }

    int threads() {
        return helpers.length + 1;
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
        Job mine = new Job(count, task);
        job = mine;
        for (Thread helper : helpers) {
            LockSupport.unpark(helper);
        }
        mine.work();
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

    private void serve() {
        Job seen = null;
        int idle = 0;
        while (true) {
            Job current = job;
            if (current != null && current != seen) {
                current.work();
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
