package org.qlora4j.world;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.SharedStore;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.FreePort;

/** Worlds whose processes are threads of this one, on loopback. */
@Timeout(60)
class WorldTest {
    private static final Duration SILENCE = Duration.ofSeconds(30);
    private static final Duration COMING = Duration.ofSeconds(20);

    private interface Part<T> {
        T of(World world) throws Exception;
    }

    private static Membership member(int rank, int size, int port, String token) {
        return new Membership(rank, size, rank, size, "127.0.0.1", port, token);
    }

    private static List<Membership> members(int size) {
        int port = FreePort.any();
        List<Membership> all = new ArrayList<>();
        for (int rank = 0; rank < size; rank++) {
            all.add(member(rank, size, port, ""));
        }
        return all;
    }

    /** What each process came to, or the exception that ended it. */
    private static <T> List<Object> each(List<Membership> members, Part<T> part) throws Exception {
        List<Future<T>> begun = new ArrayList<>();
        List<Object> out = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(members.size())) {
            for (Membership own : members) {
                Callable<T> process =
                        () -> {
                            try (World world = Peers.join(own, SILENCE, COMING)) {
                                try {
                                    return part.of(world);
                                } catch (RuntimeException e) {
                                    world.fail(String.valueOf(e.getMessage()));
                                    throw e;
                                }
                            }
                        };
                begun.add(threads.submit(process));
            }
            for (Future<T> one : begun) {
                try {
                    out.add(one.get());
                } catch (ExecutionException e) {
                    out.add(e.getCause());
                }
            }
        }
        return out;
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 4})
    void sums_areOfAllAndTheSameEverywhere(int size) throws Exception {
        int count = (1 << 22) + 37; // two buckets
        List<Object> sums =
                each(
                        members(size),
                        world -> {
                            try (TensorScope scope = TensorScope.open()) {
                                Tensor values = Tensors.full(0.1 + world.rank(), DType.F32, count);
                                world.sum(values);
                                double[] more = world.sum(world.rank(), 1, 0.5);
                                float[] all = values.toFloats();
                                world.leave();
                                return List.of(all[0], all[count - 1], more[0], more[1], more[2]);
                            }
                        });
        double ranks = size * (size - 1) / 2.0;
        float expected = (float) (size * 0.1 + ranks);
        assertThat(sums).containsOnly(sums.getFirst());
        List<?> first = (List<?>) sums.getFirst();
        assertThat((Float) first.get(0)).isCloseTo(expected, Offset.offset(1e-5f));
        assertThat(first.get(1)).isEqualTo(first.get(0));
        assertThat(first.subList(2, 5)).isEqualTo(List.of(ranks, (double) size, size * 0.5));
    }

    /** NCCL and Gloo would wait for each other. */
    @Test
    void otherBackends_areRefusedBeforeAnybodyConnects() throws Exception {
        int port = FreePort.any();
        CompletableFuture<Throwable> first =
                CompletableFuture.supplyAsync(() -> {
                    try (SharedStore store = SharedStore.serve("127.0.0.1", port, COMING)) {
                        return catchThrowable(() ->
                                Greeting.exchange(store, member(0, 2, port, ""), "nccl", COMING));
                    }
                });
        try (SharedStore store = SharedStore.connect("127.0.0.1", port, COMING)) {
            assertThatThrownBy(
                            () -> Greeting.exchange(store, member(1, 2, port, ""), "gloo", COMING))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageStartingWith(
                            "process 1 sums by gloo, process 0 by nccl: some have a GPU; set model.device");
        }
        assertThat(first.get()).isInstanceOf(ConfigException.class);
    }

    @Test
    void numberOfTheFirst_isEverybodys() throws Exception {
        List<Object> said =
                each(
                        members(2),
                        world -> {
                            double number = world.fromFirst(world.isFirst() ? 0.1 : 7);
                            boolean[] any = {world.any(world.rank() == 1), world.any(false)};
                            world.leave();
                            return number + Arrays.toString(any);
                        });
        assertThat(said).containsOnly("0.1[true, false]");
    }

    @Test
    void bytesOfASum_areThoseOfARing() {
        assertThat(World.ALONE.bytesToSum(1000)).isZero();
    }

    @Test
    void otherFacts_endAllWithTheirName() throws Exception {
        List<Object> ended =
                each(
                        members(2),
                        world -> {
                            world.requireSame(Map.of("the colour", "red"));
                            world.requireSame(
                                    Map.of("the size", world.isFirst() ? "small" : "large"));
                            return "never";
                        });
        assertThat(ended.get(1))
                .isInstanceOf(ConfigException.class)
                .hasToString(
                        ConfigException.class.getName()
                                + ": the size of process 1 of 2 is large, that of process 0 is small; give all"
                                + " processes the same");
        assertThat(ended.getFirst())
                .asInstanceOf(InstanceOfAssertFactories.THROWABLE)
                .isInstanceOf(DeviceException.class)
                .hasMessageStartingWith("process 1 of 2 ended: the size of process 1");
    }

    @Test
    void failure_isToldToAllThatWait() throws Exception {
        List<Object> ended =
                each(
                        members(3),
                        world -> {
                            if (world.rank() == 2) {
                                throw new ConfigException("x.jsonl:3 is broken");
                            }
                            return world.sum(1)[0];
                        });
        for (Object one : ended.subList(0, 2)) {
            assertThat((Throwable) one)
                    .isInstanceOf(DeviceException.class)
                    .hasMessage("process 2 of 3 ended: x.jsonl:3 is broken");
        }
    }

    @Test
    void otherNumberOfProcesses_isRefused() throws Exception {
        int port = FreePort.any();
        List<Object> ended =
                each(List.of(member(0, 2, port, ""), member(1, 3, port, "")), world -> "never");
        for (Object one : ended) {
            assertThat((Throwable) one)
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("WORLD_SIZE is ")
                    .hasMessageEndingWith("; give all the same");
        }
    }

    @Test
    void otherToken_isRefused() throws Exception {
        int port = FreePort.any();
        List<Object> ended =
                each(
                        List.of(member(0, 2, port, "right"), member(1, 2, port, "wrong")),
                        world -> "never");
        for (Object one : ended) {
            assertThat((Throwable) one)
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("QLORA_CLUSTER_TOKEN of process ");
        }
    }

    @Test
    void twoOfOneRank_areRefused() throws Exception {
        int port = FreePort.any();
        List<Object> ended =
                each(
                        List.of(
                                member(0, 3, port, ""),
                                member(1, 3, port, ""),
                                member(1, 3, port, "")),
                        world -> "never");
        assertThat(ended)
                .allSatisfy(one ->
                        assertThat((Throwable) one)
                                .isInstanceOf(ConfigException.class)
                                .hasMessageContaining("two processes have RANK 1 of 3"));
    }

    /** As two trainings of a library's user: whoever is first begins the next run at once. */
    @Test
    void worldsOneAfterAnother_meetOnOnePort() throws Exception {
        List<Membership> members = members(3);
        List<Object> sums =
                each(
                        members,
                        first -> {
                            first.leave();
                            double sum = 0;
                            for (int run = 0; run < 3; run++) {
                                Membership own = members.get(first.rank());
                                World next = Peers.join(own, SILENCE, COMING);
                                sum += next.sum(run)[0];
                                next.leave();
                            }
                            return sum;
                        });
        assertThat(sums).containsOnly(9.0);
    }

    @Test
    void failedWorld_freesItsPort() throws Exception {
        List<Membership> members = members(2);
        Part<String> fails =
                world -> {
                    if (world.isFirst()) {
                        throw new ConfigException("wrong");
                    }
                    return "" + world.sum(1)[0];
                };
        for (int run = 0; run < 2; run++) {
            List<Object> ended = each(members, fails);
            assertThat((Throwable) ended.getFirst()).hasMessage("wrong");
            assertThat((Throwable) ended.get(1)).hasMessage("process 0 of 2 ended: wrong");
        }
    }

    /** A process greets, and is gone before connections are made. */
    @Test
    void processThatVanishesEarly_isOneLineInTime() {
        List<Membership> members = members(2);
        Duration coming = Duration.ofSeconds(2);
        CompletableFuture<Void> vanishes =
                CompletableFuture.runAsync(() -> {
                    Membership own = members.get(1);
                    try (SharedStore store =
                            SharedStore.connect(own.address(), own.port(), coming)) {
                        Greeting.exchange(store, own, "gloo", coming);
                    }
                });
        assertThatThrownBy(() -> Peers.join(members.getFirst(), SILENCE, coming))
                .isInstanceOf(DeviceException.class)
                .hasMessageStartingWith("the processes cannot connect with each other within 2 s")
                .message()
                .doesNotContain("\n");
        vanishes.join();
    }

    /** Long after all have come, a process keeps the others waiting. */
    @Test
    void limitOfComing_isNotThatOfACall() throws Exception {
        Duration coming = Duration.ofSeconds(2);
        List<Future<Double>> sums = new ArrayList<>();
        try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
            for (Membership own : members(2)) {
                sums.add(
                        threads.submit(() -> {
                            try (World world = Peers.join(own, SILENCE, coming)) {
                                Thread.sleep(world.isFirst() ? 2500 : 0);
                                double sum = world.sum(1)[0];
                                world.leave();
                                return sum;
                            }
                        }));
            }
            for (Future<Double> sum : sums) {
                assertThat(sum.get()).isEqualTo(2);
            }
        }
    }

    @Test
    void nobodyThere_isOneLine() {
        Membership alone = member(1, 2, FreePort.any(), "");
        assertThatThrownBy(() -> Peers.join(alone, SILENCE, Duration.ofMillis(300)))
                .isInstanceOf(DeviceException.class)
                .hasMessageContaining("process 1 of 2 finds no process 0 at 127.0.0.1, port ")
                .hasMessageContaining("MASTER_ADDR");
    }

    @Test
    void addressOfAnotherMachine_isRefused() {
        Membership elsewhere = new Membership(0, 2, 0, 1, "192.0.2.1", FreePort.any(), "");
        assertThatThrownBy(() -> Peers.join(elsewhere, SILENCE, COMING))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("process 0 cannot listen on 192.0.2.1, port ");
    }
}
