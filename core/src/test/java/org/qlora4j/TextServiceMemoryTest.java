package org.qlora4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.generate.CacheSize;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Token;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Samples;
import org.qlora4j.testing.TinyLlama;

/** A service with little memory, on a model of 27,000 weights, beside each request alone. */
class TextServiceMemoryTest {
    private static final QuantConfig F32 =
            QuantConfig.DEFAULT.withLoad4bit(false).withComputeDtype(ComputeDtype.FLOAT32);
    private static final GenerationConfig CONFIG = GenerationConfig.DEFAULT.withMaxNewTokens(12);

    @TempDir static Path temporary;

    private static LanguageModel model;
    private static long position; // bytes, as of a row that is moved
    private static List<Path> folders;
    private static long adapterBytes;

    @BeforeAll
    static void load() {
        model = LanguageModel.load(TinyLlama.folder(), F32);
        CacheSize size = CacheSize.of(model.model());
        position = size.position() + size.moving();
        folders = Engine.call(() -> IntStream.range(0, 3).mapToObj(i -> write(i)).toList());
        adapterBytes = Engine.call(() -> PeftAdapter.bytes(folders.getFirst(), DType.F32));
    }

    @AfterAll
    static void close() {
        model.close();
    }

    /** An adapter that changes what the model says; seed by its number. */
    private static Path write(int number) {
        Path folder = temporary.resolve("adapter-" + number);
        try (LoraAdapter adapter =
                LoraAdapter.create(
                        LoraConfig.DEFAULT.withRank(4, 8),
                        model.model().linears(),
                        model.model().parameters(),
                        DType.F32,
                        number)) {
            adapter.detach();
            for (Parameter p : adapter.parameters()) {
                try (TensorScope scope = TensorScope.open()) {
                    p.value()
                            .addInPlace(
                                    Samples.normal(DType.F32, 40 + number, p.value().shape()),
                                    p.name().contains("lora_B") ? 0.3 : 0.1);
                }
            }
            PeftAdapter.save(adapter, Files.createDirectories(folder), null);
            return folder;
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    private static List<Integer> prompt(int i) {
        Random random = new Random(i);
        return random.ints(3 + i * 7 % 40, 3, 150).boxed().toList();
    }

    private static Prompt.Ids ids(int i) {
        return new Prompt.Ids(prompt(i));
    }

    /** Ids of an answer to come. */
    private static CompletableFuture<List<Integer>> ask(
            TextService service, @Nullable String adapter, int i, GenerationConfig config) {
        CompletableFuture<List<Integer>> out = new CompletableFuture<>();
        List<Integer> tokens = new ArrayList<>();
        service.submit(
                new TextRequest(adapter, ids(i), config),
                new TextListener() {
                    @Override
                    public void token(Token token, String text) {
                        tokens.add(token.id());
                    }

                    @Override
                    public void ended(String rest, Answer answer) {
                        out.complete(tokens);
                    }

                    @Override
                    public void failed(RuntimeException failure) {
                        out.completeExceptionally(failure);
                    }
                });
        return out;
    }

    private static List<Integer> got(Future<List<Integer>> answer) throws Exception {
        return answer.get(60, TimeUnit.SECONDS);
    }

    /** Answers of a service with memory for all, one after the other. */
    private static List<List<Integer>> alone(int requests) throws Exception {
        List<List<Integer>> out = new ArrayList<>();
        try (TextService service = model.serve(new ServiceConfig(1, 64, 4))) {
            for (int a = 0; a < 3; a++) {
                service.load("a" + a, folders.get(a));
            }
            for (int i = 0; i < requests; i++) {
                out.add(got(ask(service, adapter(i), i, CONFIG)));
            }
        }
        return out;
    }

    private static @Nullable String adapter(int i) {
        return i % 4 == 3 ? null : "a" + i % 4;
    }

    /** Three adapters by turns where two have room, keys and values of hardly two texts. */
    @Test
    void requestsOfMoreAdaptersThanThereIsRoomFor_getTheAnswersOfTheirOwn() throws Exception {
        int requests = 32;
        List<List<Integer>> alone = alone(requests);
        assertThat(alone.get(1)).isNotEqualTo(alone.get(3));
        long live = NativeMemory.liveBytes();
        AtomicLong mostCache = new AtomicLong();
        ServiceConfig config =
                new ServiceConfig(4, 16, 64).withMemory(100 * position, 2 * adapterBytes);
        try (TextService service = model.serve(config)) {
            for (int a = 0; a < 3; a++) {
                service.load("a" + a, folders.get(a));
            }
            assertThat(service.adapterStates())
                    .containsExactly(
                            new TextService.AdapterState("a0", adapterBytes, false),
                            new TextService.AdapterState("a1", adapterBytes, true),
                            new TextService.AdapterState("a2", adapterBytes, true));
            List<CompletableFuture<List<Integer>>> answers = new ArrayList<>();
            for (int i = 0; i < requests; i++) {
                answers.add(ask(service, adapter(i), i, CONFIG));
            }
            for (int i = 0; i < requests; i++) {
                assertThat(got(answers.get(i))).as("request %d", i).isEqualTo(alone.get(i));
                TextService.Memory memory = service.memory();
                mostCache.accumulateAndGet(memory.kvCacheBytes(), Math::max);
                assertThat(memory.kvCacheBytes()).isLessThanOrEqualTo(memory.kvCacheLimit());
                assertThat(memory.adapterBytes()).isLessThanOrEqualTo(memory.adapterLimit());
            }
            assertThat(mostCache.get()).isPositive();
            assertThat(service.memory().evicted()).isGreaterThan(3);
            assertThat(service.memory().adapterLimit()).isEqualTo(2 * adapterBytes);
            assertThat(service.adapters()).containsExactly("a0", "a1", "a2");
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(live);
    }

    /** Texts as numbers need keys and values too; those who want them wait among the others. */
    @Test
    void embeddingsBesideAnswers_shareTheBound() throws Exception {
        float[] expected;
        try (TextService service = model.serve(new ServiceConfig(1, 8, 4))) {
            service.load("a0", folders.getFirst());
            expected = service.embed("a0", ids(5)).vector();
        }
        List<List<Integer>> alone = alone(8);
        ServiceConfig config = new ServiceConfig(4, 8, 64).withMemory(80 * position, adapterBytes);
        try (TextService service = model.serve(config);
                ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            service.load("a1", folders.get(1));
            service.load("a2", folders.get(2));
            service.load("a0", folders.get(0));
            List<CompletableFuture<List<Integer>>> answers = new ArrayList<>();
            List<Future<TextService.Embedded>> embedded = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                answers.add(ask(service, adapter(i), i, CONFIG));
                embedded.add(threads.submit(() -> service.embed("a0", ids(5))));
            }
            for (int i = 0; i < 8; i++) {
                assertThat(got(answers.get(i))).as("request %d", i).isEqualTo(alone.get(i));
                assertThat(embedded.get(i).get(60, TimeUnit.SECONDS).vector()).isEqualTo(expected);
            }
            assertThat(service.memory().evicted()).isPositive();
        }
    }

    @Test
    void requestThatCanNeverFit_isRefusedAtOnce() {
        ServiceConfig config = new ServiceConfig(2, 16, 4).withMemory(32 * position, adapterBytes);
        try (TextService service = model.serve(config)) {
            assertThat(service.contextLength()).isEqualTo(32);
            assertThatThrownBy(() -> ask(service, null, 5, CONFIG)) // 38 tokens
                    .isInstanceOf(ConfigException.class)
                    .hasMessage(
                            "the prompt of 38 tokens does not fit into the key-value cache, which holds 32"
                                    + " positions; shorten it, or give the cache more memory");
            assertThatThrownBy(() -> ask(service, null, 3, CONFIG)) // 24 tokens
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("ask for at most 8 new tokens");
            assertThatThrownBy(() -> service.embed(null, ids(5)))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageStartingWith("the text of 38 tokens does not fit");
        }
        assertThatThrownBy(() -> model.serve(new ServiceConfig(1, 1, 1).withMemory(100, 100)))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("give it at least " + 16 * position);
    }

    @Test
    void adapterLargerThanTheirMemory_isRefused() {
        ServiceConfig config =
                new ServiceConfig(2, 16, 4).withMemory(64 * position, adapterBytes - 1);
        try (TextService service = model.serve(config)) {
            assertThatThrownBy(() -> service.load("a", folders.getFirst()))
                    .isInstanceOf(ConfigException.class)
                    .hasMessage(
                            "adapter a takes %d bytes, adapters may take %d together; give them more memory",
                            adapterBytes, adapterBytes - 1);
            assertThat(service.adapters()).isEmpty();
        }
    }

    /** An evicted adapter whose files are gone or others fails by name, and only its requests. */
    @Test
    void evictedAdapterThatCannotBeReadAgain_failsItsRequests() throws Exception {
        Path own = temporary.resolve("own");
        Files.createDirectories(own);
        for (String name : List.of("adapter_config.json", "adapter_model.safetensors")) {
            Files.copy(folders.get(0).resolve(name), own.resolve(name));
        }
        ServiceConfig config = new ServiceConfig(2, 16, 4).withMemory(64 * position, adapterBytes);
        try (TextService service = model.serve(config)) {
            service.load("own", own);
            service.load("a1", folders.get(1));
            Files.delete(own.resolve("adapter_model.safetensors"));
            CompletableFuture<List<Integer>> answer = ask(service, "own", 1, CONFIG);
            assertThatThrownBy(() -> got(answer))
                    .isInstanceOf(ExecutionException.class)
                    .cause()
                    .isInstanceOf(FormatException.class)
                    .hasMessageStartingWith(
                            "adapter own was evicted from memory and cannot be read again: ");
            Files.copy(
                    folders.get(2).resolve("adapter_model.safetensors"),
                    own.resolve("adapter_model.safetensors"));
            CompletableFuture<List<Integer>> second = ask(service, "own", 1, CONFIG);
            assertThatThrownBy(() -> got(second)).hasMessageContaining("has changed since");
            assertThat(got(ask(service, "a1", 1, CONFIG))).isEqualTo(alone(2).get(1));
        }
    }

    @Test
    void boundsByTheMachine_areOfUse() {
        ServiceConfig here = ServiceConfig.DEFAULT.here();
        assertThat(here.kvCacheBytes()).isGreaterThanOrEqualTo(64L << 20);
        assertThat(here.adapterBytes()).isBetween(64L << 20, here.kvCacheBytes());
        assertThat(ServiceConfig.DEFAULT.withMemory(5, 6).here())
                .isEqualTo(ServiceConfig.DEFAULT.withMemory(5, 6));
    }
}
