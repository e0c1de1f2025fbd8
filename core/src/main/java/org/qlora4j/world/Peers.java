package org.qlora4j.world;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.UserException;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.ProcessGroup;
import org.qlora4j.tensor.SharedStore;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A world of several processes, connected by libtorch's store and process group. */
final class Peers implements World {
    private static final Logger LOG = LoggerFactory.getLogger(Peers.class);

    /** How long processes may come after one another: a scheduler may start them minutes apart. */
    static final Duration COMING = Duration.ofMinutes(10);

    /** Gloo's own limit of a call. Whoever waits for one gives up earlier, by signs of life. */
    private static final Duration LONG = Duration.ofDays(7);

    /** Elements that are sent at once. */
    private static final long BUCKET = 1 << 22;

    private static final long SHORTEST_PAUSE = TimeUnit.MICROSECONDS.toNanos(10);
    private static final long LONGEST_PAUSE = TimeUnit.MILLISECONDS.toNanos(1);
    private static final Pattern SOURCE = Pattern.compile("^(\\[[^\\]]*\\.(cc|cpp|h):\\d+\\] )+");

    private final Membership membership;
    private final SharedStore store;
    private final Heartbeat heartbeat;
    private final ProcessGroup group;
    private final Deque<Sent> sent = new ArrayDeque<>();
    private int compared;
    private boolean broken;
    private boolean closed;

    private Peers(
            Membership membership, SharedStore store, Heartbeat heartbeat, ProcessGroup group) {
        this.membership = membership;
        this.store = store;
        this.heartbeat = heartbeat;
        this.group = group;
    }

    /**
     * Meets the others.
     *
     * @param coming how long to wait for all of them
     */
    static Peers join(Membership own, Duration silence, Duration coming) {
        SharedStore store = open(own, coming);
        Heartbeat heartbeat = null;
        try {
            Greeting.exchange(store, own, ProcessGroup.backend(), coming);
            heartbeat = beat(own, silence, coming);
            return new Peers(own, store, heartbeat, connect(own, coming));
        } catch (RuntimeException e) {
            if (heartbeat != null) {
                heartbeat.close();
            }
            store.close();
            throw e;
        }
    }

    private static Heartbeat beat(Membership own, Duration silence, Duration coming) {
        try {
            SharedStore store = SharedStore.connect(own.address(), own.port(), coming);
            return new Heartbeat(store, own.rank(), own.size(), silence);
        } catch (RuntimeException e) {
            throw lost("process 0 of %d is gone: %s".formatted(own.size(), words(e)), e);
        }
    }

    private static ProcessGroup connect(Membership own, Duration coming) {
        String address = ownAddress(own);
        try {
            return ProcessGroup.connect(
                    own.address(), own.port(), address, own.rank(), own.size(), coming, LONG);
        } catch (UserException e) {
            throw e;
        } catch (RuntimeException e) {
            throw lost(
                    "the processes cannot connect with each other within %d s, though all have come: %s"
                            .formatted(coming.toSeconds(), words(e)),
                    e);
        }
    }

    private static SharedStore open(Membership own, Duration coming) {
        if (own.rank() == 0) {
            return SharedStore.serve(own.address(), own.port(), coming);
        }
        awaitServer(own, coming); // libtorch would fill the screen if nobody is there
        return SharedStore.connect(own.address(), own.port(), coming);
    }

    private static void awaitServer(Membership own, Duration coming) {
        long end = System.nanoTime() + coming.toNanos();
        while (true) {
            try (Socket socket = new Socket()) {
                socket.connect(
                        new InetSocketAddress(own.address(), own.port()),
                        (int) Math.min(coming.toMillis(), 5000));
                return;
            } catch (IOException e) {
                if (System.nanoTime() > end) {
                    throw new DeviceException(
                            "process %d of %d finds no process 0 at %s, port %d, for %d s (%s); start it, and see that"
                                            .formatted(
                                                    own.rank(),
                                                    own.size(),
                                                    own.address(),
                                                    own.port(),
                                                    coming.toSeconds(),
                                                    e.getMessage())
                                    + " MASTER_ADDR and MASTER_PORT are the same everywhere",
                            e);
                }
                LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(100));
            }
        }
    }

    /** The address of this machine on the way to process 0, on which alone it listens. */
    private static String ownAddress(Membership own) {
        try (DatagramSocket way = new DatagramSocket()) {
            way.connect(new InetSocketAddress(own.address(), own.port())); // sends nothing
            return way.getLocalAddress().getHostAddress();
        } catch (IOException e) {
            throw new DeviceException(
                    "no way to MASTER_ADDR %s: %s".formatted(own.address(), e.getMessage()), e);
        }
    }

    @Override
    public int rank() {
        return membership.rank();
    }

    @Override
    public int size() {
        return membership.size();
    }

    @Override
    public void sum(Tensor values) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor flat = values.view(values.count());
            List<Supplier<ProcessGroup.Work>> calls = new ArrayList<>();
            for (long from = 0; from < flat.count(); from += BUCKET) {
                Tensor bucket = flat.narrow(0, from, Math.min(BUCKET, flat.count() - from));
                calls.add(() -> group.sum(bucket));
            }
            all(calls);
        }
    }

    @Override
    public double[] sum(double... values) {
        return exchange(values, group::sum);
    }

    /** A tensor on its way. */
    private record Sent(ProcessGroup.Work work, Tensor values) {
        void free() {
            work.close();
            values.close();
        }
    }

    @Override
    public void send(Tensor values, int rank) {
        guarded(() -> {
            requireUnbroken();
            sent.add(new Sent(group.send(values, rank), values));
            freeSent(false);
        });
    }

    @Override
    public void receive(Tensor values, int rank) {
        guarded(() -> {
            requireUnbroken();
            try (ProcessGroup.Work work = group.receive(values, rank)) {
                await(work);
            }
            freeSent(false);
        });
    }

    /** Frees what has arrived; on request waits for all. */
    private void freeSent(boolean all) {
        while (!sent.isEmpty() && (all || sent.getFirst().work().isOver())) {
            await(sent.getFirst().work());
            sent.removeFirst().free();
        }
    }

    @Override
    public double fromFirst(double value) {
        return exchange(new double[] {value}, group::fromFirst)[0];
    }

    private interface Call {
        ProcessGroup.Work begin(Tensor tensor);
    }

    private double[] exchange(double[] values, Call call) {
        try (TensorScope scope = TensorScope.open();
                Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = MemorySegment.ofArray(values);
            Tensor tensor = Tensors.fromBytes(DType.F64, new long[] {values.length}, bytes);
            all(List.of(() -> call.begin(tensor)));
            return Tensors.copyOf(tensor, arena).toArray(ValueLayout.JAVA_DOUBLE);
        }
    }

    /** Begins all calls in their order and waits for them, and for all that was sent before. */
    private void all(List<Supplier<ProcessGroup.Work>> calls) {
        List<ProcessGroup.Work> begun = new ArrayList<>();
        try {
            guarded(() -> {
                for (Supplier<ProcessGroup.Work> call : calls) {
                    requireUnbroken();
                    begun.add(call.get());
                }
                begun.forEach(this::await);
                freeSent(true);
            });
        } finally {
            begun.forEach(ProcessGroup.Work::close);
        }
    }

    private void guarded(Runnable calls) {
        try {
            calls.run();
        } catch (DeviceException e) {
            broken = true;
            throw e;
        } catch (RuntimeException e) {
            broken = true;
            throw lost(heartbeat.whoIsGone("a process of the run is gone: " + words(e)), e);
        }
    }

    private void requireUnbroken() {
        String failure = heartbeat.failure();
        if (failure != null) {
            throw lost(failure, null);
        }
    }

    private void await(ProcessGroup.Work work) {
        long pause = SHORTEST_PAUSE;
        while (!work.isOver()) {
            requireUnbroken();
            LockSupport.parkNanos(pause);
            pause = Math.min(LONGEST_PAUSE, pause * 3 / 2);
        }
        work.await();
    }

    private static DeviceException lost(String what, @Nullable Throwable cause) {
        return new DeviceException(what, cause);
    }

    /** What libtorch says, on one line and without places in its source. */
    private static String words(RuntimeException e) {
        String first = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
        return SOURCE.matcher(first).replaceFirst("");
    }

    @Override
    public void requireSame(Map<String, String> facts) {
        String prefix = "same/" + compared++ + "/";
        if (isFirst()) {
            new TreeMap<>(facts).forEach((name, value) -> store.set(prefix + name, value));
        }
        sum(0); // they are there
        String other = null;
        if (!isFirst()) {
            for (Map.Entry<String, String> fact : new TreeMap<>(facts).entrySet()) {
                String first = store.get(prefix + fact.getKey());
                if (other == null && !fact.getValue().equals(first)) {
                    other =
                            "%s of process %d of %d is %s, that of process 0 is %s; give all processes the same"
                                    .formatted(
                                            fact.getKey(),
                                            rank(),
                                            size(),
                                            fact.getValue(),
                                            String.valueOf(first));
                }
            }
        }
        if (other != null) {
            throw new ConfigException(other);
        }
        any(false); // nobody goes on who will hear that another one differs
    }

    @Override
    public boolean isBroken() {
        return broken;
    }

    @Override
    public void fail(String reason) {
        if (!broken) {
            broken = true;
            heartbeat.tell("process %d of %d ended: %s".formatted(rank(), size(), reason));
        }
    }

    /**
     * Ends in steps that all take together: nobody loses a store or a connection that it still
     * uses, and the port is free once anybody has returned, who may begin another run on it.
     */
    @Override
    public void leave() {
        any(false);
        try {
            heartbeat.close();
            any(false); // no signs of life are sent any more, so that the store may go
            store.close();
            any(false); // now it is gone, that of process 0 too
        } catch (DeviceException e) {
            LOG.debug("a process went without a good-bye, when all had done their part", e);
        }
        close();
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        heartbeat.close();
        store.close();
        if (!broken) { // else calls may be under way that nobody will answer
            group.close();
        }
    }
}
