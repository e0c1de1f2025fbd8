package org.qlora4j.tensor;

import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.FutureTask;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.bytedeco.openblas.global.openblas_nolapack;
import org.bytedeco.pytorch.global.torch;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.Preparation;

/**
 * The one platform thread on which libtorch computes: its OpenMP keeps a pool of workers for every
 * thread that calls it, so a second calling thread would get a second pool. Other threads queue
 * work here.
 */
public final class Engine {
    private static volatile @Nullable Thread thread;
    private static final BlockingQueue<Runnable> WAITING = new LinkedBlockingQueue<>();
    private static final ThreadPoolExecutor QUEUE =
            new ThreadPoolExecutor(
                    1,
                    1,
                    0,
                    TimeUnit.SECONDS,
                    WAITING,
                    work -> {
                        Thread t = new Thread(work, "qlora4j-engine");
                        t.setDaemon(true);
                        thread = t;
                        return t;
                    });

    /** Work beside which nothing of its kind may run. */
    private static final class LongTask<T extends @Nullable Object> extends FutureTask<T> {
        LongTask(Callable<T> work) {
            super(work);
        }
    }

    private Engine() {}

    /** Whether anything was computed here yet, or is being. */
    public static boolean started() {
        return thread != null;
    }

    /**
     * Runs the work on the engine thread, at once if that is this thread, and waits for its result.
     */
    public static <T extends @Nullable Object> T call(Callable<T> work) {
        try {
            if (Thread.currentThread() == thread) {
                return work.call();
            }
        } catch (Exception e) {
            throw rethrow(e);
        }
        return await(QUEUE.submit(Preparation.handedOn(work)));
    }

    private static <T extends @Nullable Object> T await(Future<T> work) {
        try {
            return result(work);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for the engine thread", e);
        }
    }

    /**
     * As {@link #call}, for work that takes long and {@linkplain #letOthersIn lets others in}. It
     * waits for the end of other such work.
     */
    public static <T extends @Nullable Object> T callLong(Callable<T> work) {
        if (Thread.currentThread() == thread) {
            return call(work);
        }
        LongTask<T> task = new LongTask<>(Preparation.handedOn(work));
        QUEUE.execute(task);
        return await(task);
    }

    /**
     * Runs what other threads have asked for so far, but for other long work. Long work calls this
     * where it can be held up, with nothing half done; no {@link TensorScope} of its own is open
     * for what runs.
     */
    public static void letOthersIn() {
        for (Runnable work : List.copyOf(WAITING)) {
            if (!(work instanceof LongTask<?>) && WAITING.remove(work)) {
                TensorScope.outside(work);
            }
        }
    }

    /**
     * Begins the work on the engine thread without waiting for it; at once, if that is this thread.
     */
    public static <T> Future<T> submit(Callable<T> work) {
        if (Thread.currentThread() == thread) {
            FutureTask<T> task = new FutureTask<>(work);
            task.run();
            return task;
        }
        return QUEUE.submit(work);
    }

    /** Waits for what work has come to; what it threw is thrown here. */
    public static <T extends @Nullable Object> T result(Future<T> work)
            throws InterruptedException {
        try {
            return work.get();
        } catch (ExecutionException e) {
            throw rethrow(e.getCause() == null ? e : e.getCause());
        }
    }

    /**
     * As {@link #call}, for work that makes something to be closed. Where the calling thread is
     * interrupted while it waits, nobody gets the result: it is closed as soon as it is made.
     */
    public static <T extends AutoCloseable> T open(Callable<T> work) {
        if (Thread.currentThread() == thread) {
            return call(work);
        }
        Future<T> made = QUEUE.submit(Preparation.handedOn(work));
        try {
            return result(made);
        } catch (InterruptedException e) {
            QUEUE.execute(() -> { // behind the work, on the same thread
                if (made.state() == Future.State.SUCCESS) {
                    closeQuietly(made.resultNow(), e);
                }
            });
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while waiting for the engine thread", e);
        }
    }

    private static void closeQuietly(AutoCloseable made, Throwable because) {
        try {
            made.close();
        } catch (Exception e) {
            because.addSuppressed(e);
        }
    }

    /** As {@link #call}, without a result. */
    public static void run(Runnable work) {
        Engine.<@Nullable Object>call(() -> {
            work.run();
            return null;
        });
    }

    /** Threads that libtorch computes with. */
    public static int threads() {
        Libtorch.load();
        return torch.get_num_threads();
    }

    /** Version of libtorch and of its Java binding. */
    public static String libtorchVersion() {
        return Cuda.libtorchVersion();
    }

    /** The widest instructions that libtorch's own kernels use, by its own name: {@code AVX2}. */
    public static String cpuCapability() {
        Libtorch.load();
        return torch.get_cpu_capability().getString();
    }

    /** Sets how many threads libtorch and the BLAS below it compute with, at least 1. */
    public static void setThreads(int threads) {
        Libtorch.load();
        torch.set_num_threads(threads);
        openblas_nolapack.blas_set_num_threads(threads); // f32 products run in its own pool
    }

    /**
     * Waits until all that was asked for is computed. On a CPU it always is; a GPU works through a
     * queue, and only what reads a value back waits for it.
     */
    public static void synchronize() {
        if (Tensors.device().cuda()) {
            torch.cuda_synchronize(Tensors.device().index());
        }
    }

    @SuppressWarnings("unchecked")
    private static <E extends Throwable> RuntimeException rethrow(Throwable t) throws E {
        throw (E) t; // unchecked on purpose: callers see the work's own exception
    }
}
