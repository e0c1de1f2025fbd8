package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.Models;
import org.qlora4j.generate.Decoding.Manner;
import org.qlora4j.generate.Decoding.Request;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Samples;
import org.qlora4j.testing.TinyLlama;

/** Texts that join and leave, on a model of 27,000 weights, beside each of them alone. */
class DecodingTest {
    private static final CausalModel MODEL =
            Models.load(TinyLlama.folder(), QuantConfig.DEFAULT.withLoad4bit(false), DType.F32);

    @AfterAll
    static void free() {
        MODEL.close();
    }

    private static int[] prompt(int i) {
        int[] lengths = {40, 1, 17, 2, 33, 16, 31, 15};
        return IntStream.range(0, lengths[i % lengths.length])
                .map(t -> 3 + (i * 31 + t * 37) % 150)
                .toArray();
    }

    private static GenerationConfig config(int i) {
        int tokens = 3 + i * 7 % 20;
        return GenerationConfig.DEFAULT.withMaxNewTokens(tokens).withMinNewTokens(tokens);
    }

    private static List<Integer> alone(int i) {
        return new Generator(MODEL).generate(prompt(i), config(i), id -> true).tokens();
    }

    private static Text begin(Decoding decoding, int i) {
        return decoding.begin(new Request(prompt(i), config(i), null, id -> null));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 32, 1000})
    void textsThatComeAtAnyTime_areThoseOfOneAtATime(int promptPositions) {
        List<Text> texts = new ArrayList<>();
        try (Decoding decoding =
                new Decoding(
                        MODEL, InferenceHead.exact(MODEL), Manner.shared(3, promptPositions))) {
            while (texts.size() < 12 || !decoding.isIdle()) {
                if (texts.size() < 12 && decoding.hasRoom()) {
                    texts.add(begin(decoding, texts.size()));
                }
                assertThat(decoding.size()).isBetween(1, 3);
                decoding.step();
                if (texts.size() < 12 && decoding.hasRoom()) {
                    decoding.step(); // a row stays free for a while
                }
            }
        }
        for (int i = 0; i < 12; i++) {
            assertThat(texts.get(i).generation().tokens()).as("text %d", i).isEqualTo(alone(i));
        }
    }

    /** Somebody with a short prompt does not wait for a long one. */
    @Test
    void longPrompt_isReadBetweenTheTokensOfOthers() {
        List<String> order = new ArrayList<>();
        try (Decoding decoding =
                new Decoding(MODEL, InferenceHead.exact(MODEL), Manner.shared(2, 8))) {
            Receiver first = told(order, "long");
            Receiver second = told(order, "short");
            decoding.begin(new Request(prompt(0), config(3), null, first));
            decoding.begin(new Request(prompt(1), config(1), null, second));
            while (!decoding.isIdle()) {
                decoding.step();
            }
        }
        assertThat(order.subList(0, 4)).containsOnly("short");
        assertThat(order).contains("long");
    }

    private static Receiver told(List<String> order, String name) {
        return token -> {
            order.add(name);
            return null;
        };
    }

    @Test
    void cancelledText_leavesAtTheNextStepAndTheOthersGoOn() {
        try (Decoding decoding =
                new Decoding(MODEL, InferenceHead.exact(MODEL), Manner.shared(3, 100))) {
            Text first = begin(decoding, 4);
            Text second = begin(decoding, 5);
            Text unread = begin(decoding, 6);
            unread.cancel();
            decoding.step();
            assertThat(unread.generation().stopReason()).isEqualTo(StopReason.CANCELLED);
            assertThat(unread.generation().tokens()).isEmpty();
            first.cancel();
            decoding.step();
            assertThat(first.generation().stopReason()).isEqualTo(StopReason.CANCELLED);
            assertThat(first.generation().tokens()).isEqualTo(alone(4).subList(0, 2));
            while (!second.isDone()) {
                decoding.step();
            }
            assertThat(second.generation().tokens()).isEqualTo(alone(5));
        }
    }

    /** One text's logits are spoilt by a receiver of another that changes a weight. */
    @Test
    void failureOfOneText_isToldToItsReceiver() {
        List<RuntimeException> failures = new ArrayList<>();
        Receiver receiver =
                new Receiver() {
                    @Override
                    public StopReason token(Token token) {
                        throw new AssertionError("no token comes");
                    }

                    @Override
                    public void failed(RuntimeException failure) {
                        failures.add(failure);
                    }
                };
        try (CausalModel broken =
                        Models.load(
                                TinyLlama.folder(),
                                QuantConfig.DEFAULT.withLoad4bit(false),
                                DType.F32);
                Decoding decoding =
                        new Decoding(broken, InferenceHead.exact(broken), Manner.shared(2, 100))) {
            broken.parameters().getLast().value().fill(3e38); // the head
            Text text = decoding.begin(new Request(prompt(1), config(1), null, receiver));
            decoding.step();
            assertThat(text.isDone()).isTrue();
            assertThat(decoding.isIdle()).isTrue();
            assertThat(failures).hasSize(1).first().isInstanceOf(FormatException.class);
        }
    }

    /** Rows under the base, two adapters, one with DoRA, one that brings a norm whole. */
    @Test
    void adaptersOfTheirOwn_giveEachTextWhatItGivesAlone() {
        LoraConfig plain = LoraConfig.DEFAULT.withRank(4, 8);
        LoraConfig dora = lora("lora.r=2", "lora.use_dora=true");
        LoraConfig whole = lora("lora.r=3", "lora.modules_to_save=[norm]");
        try (CausalModel model =
                        Models.load(
                                TinyLlama.folder(),
                                QuantConfig.DEFAULT.withLoad4bit(false),
                                DType.F32);
                LoraAdapter first = adapter(model, plain, 1);
                LoraAdapter second = adapter(model, dora, 2);
                LoraAdapter third = adapter(model, whole, 3)) {
            List<@Nullable LoraAdapter> adapters = new ArrayList<>();
            List<List<Integer>> alone = new ArrayList<>();
            for (int i = 0; i < 12; i++) {
                LoraAdapter own = new LoraAdapter[] {null, first, second, third}[i * 7 % 4];
                adapters.add(own);
                if (own != null) {
                    own.attach();
                }
                alone.add(new Generator(model).generate(prompt(i), config(i), t -> true).tokens());
                if (own != null) {
                    own.detach();
                }
            }
            List<Text> texts = new ArrayList<>();
            try (Decoding decoding =
                    new Decoding(model, InferenceHead.exact(model), Manner.shared(5, 50))) {
                while (texts.size() < 12 || !decoding.isIdle()) {
                    while (texts.size() < 12 && decoding.hasRoom()) {
                        int i = texts.size();
                        texts.add(
                                decoding.begin(
                                        new Request(
                                                prompt(i),
                                                config(i),
                                                adapters.get(i),
                                                token -> null)));
                    }
                    decoding.step();
                }
            }
            for (int i = 0; i < 12; i++) {
                assertThat(texts.get(i).generation().tokens()).as("%d", i).isEqualTo(alone.get(i));
            }
            assertThat(alone.get(0)).isNotEqualTo(alone.get(8)); // the same prompt
            assertThat(model.linears()).allMatch(linear -> linear.update() == null);
        }
    }

    private static LoraConfig lora(String... words) {
        List<String> all = new ArrayList<>(List.of(words));
        all.add("model.model_name_or_path=m");
        all.add("data.dataset=d");
        all.add("train.output_dir=o");
        return RunConfig.of(all.toArray(new String[0])).lora();
    }

    /** An adapter that changes much, attached to nothing. */
    private static LoraAdapter adapter(CausalModel model, LoraConfig config, int seed) {
        LoraAdapter adapter =
                LoraAdapter.create(config, model.linears(), model.parameters(), DType.F32, seed);
        adapter.detach();
        for (Parameter p : adapter.parameters()) {
            try (TensorScope scope = TensorScope.open()) {
                Tensor noise = Samples.normal(DType.F32, 100 * seed, p.value().shape());
                p.value().addInPlace(noise, p.name().contains("lora_B") ? 0.3 : 0.1);
            }
        }
        return adapter;
    }

    /**
     * Conversations that begin alike, after each other and together: each continues as alone, and
     * what they share is read once.
     */
    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void commonPrefix_isReadOnce(int atOnce) {
        int[] system = IntStream.range(0, 37).map(t -> 3 + t * 41 % 150).toArray();
        List<int[]> prompts = new ArrayList<>();
        for (int i = 0; i < 7; i++) {
            int[] prompt = Arrays.copyOf(system, 42 + i);
            for (int t = i % 3 == 2 ? 0 : system.length; t < prompt.length; t++) {
                prompt[t] = 3 + (i * 29 + t * 17) % 150;
            }
            prompts.add(prompt);
        }
        try (Decoding decoding =
                new Decoding(MODEL, InferenceHead.exact(MODEL), Manner.shared(4, 16))) {
            List<Text> texts = new ArrayList<>();
            while (texts.size() < prompts.size() || !decoding.isIdle()) {
                while (texts.size() < prompts.size() && decoding.size() < atOnce) {
                    int[] prompt = prompts.get(texts.size());
                    texts.add(decoding.begin(new Request(prompt, config(1), null, id -> null)));
                }
                decoding.step();
            }
            for (int i = 0; i < texts.size(); i++) {
                assertThat(texts.get(i).generation().tokens())
                        .as("text %d", i)
                        .isEqualTo(
                                new Generator(MODEL)
                                        .generate(prompts.get(i), config(1), id -> true)
                                        .tokens());
            }
            // five begin alike, of which one is read; the others may begin while it is read
            assertThat(decoding.reused())
                    .isBetween(3L * system.length - 3 * 21, 4L * system.length);
        }
    }

    /**
     * Caches that hold one text alone, hardly two, or most of four: texts wait, give way and are
     * read again, and each continues as alone.
     */
    @ParameterizedTest
    @ValueSource(ints = {64, 80, 100, 150, 400})
    void boundedCache_isNeverExceeded(int positions) {
        CacheSize size = CacheSize.of(MODEL);
        long bound = positions * (size.position() + size.moving());
        long gaveWay;
        List<Text> texts = new ArrayList<>();
        try (Decoding decoding =
                new Decoding(MODEL, InferenceHead.exact(MODEL), Manner.shared(4, 16, bound))) {
            while (texts.size() < 24 || !decoding.isIdle()) {
                while (texts.size() < 24 && decoding.hasRoom()) {
                    texts.add(begin(decoding, texts.size()));
                }
                decoding.step();
                assertThat(decoding.isStalled()).isFalse();
                assertThat(decoding.cacheBytes()).isLessThanOrEqualTo(bound);
            }
            assertThat(decoding.peakBytes()).isBetween(bound / 3, bound);
            gaveWay = decoding.gaveWay();
        }
        for (int i = 0; i < 24; i++) {
            assertThat(texts.get(i).generation().tokens()).as("text %d", i).isEqualTo(alone(i));
        }
        if (positions == 400) {
            assertThat(gaveWay).isZero(); // all four fit
        }
    }

    /** Two texts that fit when they begin, and not when they end. */
    @Test
    void olderText_growsAtTheCostOfTheYounger() {
        CacheSize size = CacheSize.of(MODEL);
        GenerationConfig long30 =
                GenerationConfig.DEFAULT.withMaxNewTokens(30).withMinNewTokens(30);
        List<Integer> alone = new Generator(MODEL).generate(prompt(6), long30, id -> true).tokens();
        List<String> ends = new ArrayList<>();
        try (Decoding decoding =
                new Decoding(
                        MODEL,
                        InferenceHead.exact(MODEL),
                        Manner.shared(2, 100, 90 * (size.position() + size.moving())))) {
            Text older = decoding.begin(new Request(prompt(6), long30, null, ended(ends, "older")));
            decoding.step();
            Text younger =
                    decoding.begin(new Request(prompt(2), long30, null, ended(ends, "younger")));
            while (!decoding.isIdle()) {
                decoding.step();
            }
            assertThat(decoding.gaveWay()).isPositive();
            assertThat(ends).containsExactly("older", "younger");
            assertThat(older.generation().tokens()).isEqualTo(alone);
            assertThat(younger.generation().tokens())
                    .isEqualTo(
                            new Generator(MODEL).generate(prompt(2), long30, t -> true).tokens());
        }
    }

    private static Receiver ended(List<String> ends, String name) {
        return new Receiver() {
            @Override
            public @Nullable StopReason token(Token token) {
                return null;
            }

            @Override
            public void ended(Generation generation) {
                ends.add(name);
            }
        };
    }

    @Test
    void textThatCanNeverFit_isRefused() {
        CacheSize size = CacheSize.of(MODEL);
        long bound = 47 * (size.position() + size.moving()); // 32 positions in whole blocks
        GenerationConfig fits = config(0).withMinNewTokens(0).withMaxNewTokens(15);
        try (Decoding decoding =
                new Decoding(MODEL, InferenceHead.exact(MODEL), Manner.shared(2, 16, bound))) {
            assertThatThrownBy(() -> decoding.begin(new Request(prompt(0), fits, null, t -> null)))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageStartingWith(
                            "the prompt of 40 tokens does not fit into the key-value cache, which holds 32 positions");
            assertThatThrownBy(() ->
                            decoding.begin(
                                    new Request(
                                            prompt(2), fits.withMaxNewTokens(16), null, t -> null)))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("ask for at most 15 new tokens");
            Text whole = decoding.begin(new Request(prompt(2), fits, null, t -> null));
            Text asFits =
                    decoding.begin(
                            new Request(
                                    prompt(2),
                                    fits.withMaxNewTokens(Integer.MAX_VALUE).withMinNewTokens(15),
                                    null,
                                    t -> null));
            while (!decoding.isIdle()) {
                decoding.step();
                assertThat(decoding.cacheBytes()).isLessThanOrEqualTo(bound);
            }
            assertThat(whole.isDone()).isTrue();
            assertThat(asFits.generation().tokens()).hasSize(15);
            assertThat(asFits.generation().stopReason()).isEqualTo(StopReason.CONTEXT_FULL);
        }
        assertThatThrownBy(() -> size.requireSome(15 * size.position()))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("give it at least " + 16 * (size.position() + size.moving()));
    }

    /** What is kept of ended texts makes way, that of no use for longest first. */
    @Test
    void keptBeginnings_makeWayInTheOrderOfTheirLastUse() {
        CacheSize size = CacheSize.of(MODEL);
        GenerationConfig two = GenerationConfig.DEFAULT.withMaxNewTokens(2).withMinNewTokens(2);
        int[] numbers = {0, 4, 6, 0, 2, 0, 4}; // 40, 33, 31, 40, 17, 40 and 33 tokens
        List<Long> reused = new ArrayList<>();
        try (Decoding decoding =
                new Decoding(
                        MODEL,
                        InferenceHead.exact(MODEL),
                        Manner.shared(4, 100, 144 * size.position() + 48 * size.moving()))) {
            for (int number : numbers) {
                decoding.begin(new Request(prompt(number), two, null, t -> null));
                while (!decoding.isIdle()) {
                    decoding.step();
                }
                reused.add(decoding.reused());
            }
        }
        // three are kept; the fifth takes the place of the second, since the first was used again
        assertThat(reused).containsExactly(0L, 0L, 0L, 39L, 39L, 78L, 78L);
    }

    /** Bytes that lie elsewhere count, and keep texts waiting until they are back. */
    @Test
    void takenBytes_holdTextsUp() {
        CacheSize size = CacheSize.of(MODEL);
        long bound = 64 * (size.position() + size.moving());
        try (Decoding decoding =
                new Decoding(MODEL, InferenceHead.exact(MODEL), Manner.shared(2, 16, bound))) {
            assertThat(decoding.take(bound - 16 * size.position())).isTrue();
            Text text = begin(decoding, 2);
            decoding.step();
            assertThat(decoding.isStalled()).isTrue();
            assertThat(decoding.waiting()).isEqualTo(1);
            assertThat(decoding.hasRoom()).isFalse();
            assertThat(decoding.take(bound)).isFalse();
            decoding.give(decoding.taken());
            while (!decoding.isIdle()) {
                decoding.step();
            }
            assertThat(text.generation().tokens()).isEqualTo(alone(2));
        }
    }

    @Test
    void fullBatch_takesNoText() {
        try (Decoding decoding =
                new Decoding(MODEL, InferenceHead.exact(MODEL), Manner.shared(1, 100))) {
            begin(decoding, 0);
            assertThat(decoding.hasRoom()).isFalse();
            assertThatThrownBy(() -> begin(decoding, 1)).hasMessage("no row is free");
        }
    }

    @Test
    void manySteps_leaveNothingToScopesAndFreeAll() {
        long live = NativeMemory.liveBytes();
        long freed = NativeMemory.freedBySafetyNet();
        try (Decoding decoding =
                new Decoding(MODEL, InferenceHead.exact(MODEL), Manner.shared(4, 9))) {
            for (int i = 0; i < 12; i++) {
                while (!decoding.hasRoom()) {
                    decoding.step();
                }
                begin(decoding, i);
            }
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(live);
        assertThat(NativeMemory.freedBySafetyNet()).isEqualTo(freed);
    }
}
