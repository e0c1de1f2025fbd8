package org.qlora4j.tensor;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.javacpp.chrono.Milliseconds;
import org.bytedeco.pytorch.AllreduceOptions;
import org.bytedeco.pytorch.Backend;
import org.bytedeco.pytorch.BroadcastOptions;
import org.bytedeco.pytorch.GlooDeviceVector;
import org.bytedeco.pytorch.ProcessGroupGloo;
import org.bytedeco.pytorch.TCPStore;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch_gloo;
import org.bytedeco.pytorch.global.torch_nccl;
import org.bytedeco.pytorch.nccl.ProcessGroupNCCL;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;

/**
 * Processes that add up tensors together: libtorch's {@code ProcessGroupGloo} where they compute on
 * CPUs, {@code ProcessGroupNCCL} where on GPUs, which compiles and was never run. Each call must be
 * made by all processes in the same order. Gloo's sums are a function of values and number of
 * processes: it passes each part of a tensor round the ring in a fixed order, and hands the same
 * bits to all.
 */
public final class ProcessGroup implements AutoCloseable {
    /** Marks all that one process sends to another. */
    private static final int TAG = 1;

    private final Backend group;
    private final Duration timeout;

    private ProcessGroup(Backend group, Duration timeout) {
        this.group = group;
        this.timeout = timeout;
    }

    /** What was begun, and is done beside the calling thread. */
    public sealed interface Work extends AutoCloseable {
        /** Whether it is over, done or failed. */
        boolean isOver();

        /**
         * Waits for its end.
         *
         * @throws RuntimeException with libtorch's words, if it failed
         */
        void await();

        @Override
        void close();
    }

    /** What all processes do together. */
    private record Collective(org.bytedeco.pytorch.Work work) implements Work {
        @Override
        public boolean isOver() {
            return work.isCompleted();
        }

        @Override
        public void await() {
            work._wait();
        }

        @Override
        public void close() {
            work.deallocate();
        }
    }

    /** What one process sends to another. Gloo says that it is over to a thread that waits. */
    private static final class PointToPoint implements Work {
        private final org.bytedeco.pytorch.Work work;
        private final CompletableFuture<Void> end = new CompletableFuture<>();

        PointToPoint(org.bytedeco.pytorch.Work work, Duration timeout) {
            this.work = work;
            Thread.ofPlatform()
                    .daemon()
                    .name("qlora4j-send")
                    .start(() -> {
                        try (Milliseconds limit = new Milliseconds(timeout.toMillis())) {
                            work._wait(limit);
                            end.complete(null);
                        } catch (RuntimeException e) {
                            end.completeExceptionally(e);
                        }
                    });
        }

        @Override
        public boolean isOver() {
            return end.isDone();
        }

        @Override
        public void await() {
            try {
                end.join();
            } catch (CompletionException e) {
                throw e.getCause() instanceof RuntimeException gloo ? gloo : e;
            }
        }

        /** Frees it once it is over; a thread waits for what is not. */
        @Override
        public void close() {
            if (end.isDone()) {
                work.deallocate();
            }
        }
    }

    /**
     * Connects all processes with each other.
     *
     * @param host of the {@link SharedStore} in which they find each other
     * @param port of it
     * @param address of this process, on which alone it listens
     * @param coming until all are connected
     * @param timeout of each call afterwards: whoever waits should give up earlier
     * @throws DeviceException if tensors are on a GPU and NCCL cannot be loaded
     * @throws RuntimeException with libtorch's words, if some do not come
     */
    public static ProcessGroup connect(
            String host,
            int port,
            String address,
            int rank,
            int size,
            Duration coming,
            Duration timeout) {
        Libtorch.load();
        // The group takes the store over: JavaCPP makes it without counting who holds it, so that
        // freeing it here too would free it twice.
        TCPStore store = SharedStore.client(host, port, coming);
        try (PointerScope temporaries = new PointerScope()) {
            Backend group =
                    Tensors.device().cuda()
                            ? nccl(store, rank, size, timeout)
                            : gloo(store, address, rank, size, coming);
            group.retainReference();
            return new ProcessGroup(group, timeout);
        }
    }

    private static Backend gloo(
            TCPStore store, String address, int rank, int size, Duration coming) {
        Loader.load(torch_gloo.class);
        ProcessGroupGloo.Options options =
                ProcessGroupGloo.Options.create(new Milliseconds(coming.toMillis()));
        options.devices(new GlooDeviceVector(ProcessGroupGloo.createDeviceForHostname(address)));
        return Posix.printingToStderr(() -> new ProcessGroupGloo(store, rank, size, options));
    }

    /**
     * Connects with the first sum, and by NCCL's own choice of network ({@code
     * NCCL_SOCKET_IFNAME}).
     */
    private static Backend nccl(TCPStore store, int rank, int size, Duration timeout) {
        loadNccl();
        ProcessGroupNCCL.Options options = ProcessGroupNCCL.Options.create();
        options.timeout(new Milliseconds(timeout.toMillis()));
        return new ProcessGroupNCCL(store, rank, size, options);
    }

    /** Loads what libtorch's CUDA build alone brings along. */
    static void loadNccl() {
        try {
            Loader.load(torch_nccl.class);
        } catch (LinkageError e) {
            throw new DeviceException(Libtorch.explain(e), e);
        } catch (TypeNotPresentException e) {
            throw new DeviceException(
                    "sums over GPUs (NCCL) need qlora4j's CUDA build (mvn -Pcuda); set model.device=cpu",
                    e);
        }
    }

    /** The limit of a call, in the innermost scope of pointers. */
    private Milliseconds timeout() {
        return new Milliseconds(timeout.toMillis());
    }

    /**
     * Names what adds up this process's tensors, as torchrun's users know it: all need the same.
     */
    public static String backend() {
        return Tensors.device().cuda() ? "nccl" : "gloo";
    }

    /** Begins to add up a tensor over all processes, in place. */
    public Work sum(Tensor tensor) {
        try (PointerScope temporaries = new PointerScope()) {
            AllreduceOptions options = new AllreduceOptions().timeout(timeout());
            var work = group.allreduce(new TensorVector(tensor.handle()), options);
            work.retainReference();
            return new Collective(work);
        }
    }

    /** Begins to hand the first process's tensor to all, in place. */
    public Work fromFirst(Tensor tensor) {
        try (PointerScope temporaries = new PointerScope()) {
            BroadcastOptions options = new BroadcastOptions().rootRank(0).timeout(timeout());
            var work = group.broadcast(new TensorVector(tensor.handle()), options);
            work.retainReference();
            return new Collective(work);
        }
    }

    /** Begins to send a contiguous tensor, which must stay until that is over. */
    public Work send(Tensor tensor, int rank) {
        requireCpu();
        try (PointerScope temporaries = new PointerScope()) {
            var work = group.send(new TensorVector(tensor.handle()), rank, TAG);
            work.retainReference();
            return new PointToPoint(work, timeout);
        }
    }

    /**
     * Begins to receive what another process sends: as many bytes, in the order of sending, into a
     * contiguous tensor.
     */
    public Work receive(Tensor tensor, int rank) {
        requireCpu();
        try (PointerScope temporaries = new PointerScope()) {
            var work = group.recv(new TensorVector(tensor.handle()), rank, TAG);
            work.retainReference();
            return new PointToPoint(work, timeout);
        }
    }

    /** A GPU's stream goes on after a wait, and what is sent would have to be kept for it. */
    private static void requireCpu() {
        if (Tensors.device().cuda()) {
            throw new ConfigException(
                    "train.pipeline_parallel_size must be 1 on a GPU: stages are of the CPU alone");
        }
    }

    /** Ends the connections. Waits for work that is not over. */
    @Override
    public void close() {
        group.deallocate();
    }
}
