package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.Models;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.TinyLlama;

/** On a model of 27,000 weights whose context holds 64 positions. */
class GeneratorTest {
    private static final QuantConfig NOT_QUANTIZED =
            new QuantConfig(
                    false, QuantConfig.DEFAULT.type(), false, QuantConfig.DEFAULT.blockSize());

    private static final int[] PROMPT = TinyLlama.ints(chat().get("ids"));
    private static final List<Integer> ANSWER =
            Arrays.stream(TinyLlama.ints(chat().get("new_ids"))).boxed().toList();

    private static CausalModel model = load(TinyLlama.folder());

    @TempDir Path temporary;

    private static tools.jackson.databind.JsonNode chat() {
        return TinyLlama.expected().get("chats").get(0);
    }

    private static CausalModel load(Path folder) {
        return Models.load(folder, NOT_QUANTIZED, DType.F32);
    }

    @BeforeAll
    static void answer_isLong() {
        assertThat(ANSWER).hasSize(24);
    }

    @AfterAll
    static void free() {
        model.close();
    }

    @Test
    void enoughTokens_endTheText() {
        Generation generation = generate(PROMPT, 24);
        assertThat(generation.tokens()).isEqualTo(ANSWER);
        assertThat(generation.stopReason()).isEqualTo(StopReason.MAX_NEW_TOKENS);
        assertThat(generation.promptTokens()).isEqualTo(PROMPT.length);
        assertThat(generation.prefillSeconds()).isPositive();
        assertThat(generation.decodeTokensPerSecond()).isPositive().isFinite();
    }

    @Test
    void endOfTextToken_endsTheTextAndIsItsLast() throws IOException {
        int end = ANSWER.get(5);
        int first = ANSWER.indexOf(end);
        try (CausalModel other = load(withEndOfText(end))) {
            List<Integer> seen = new ArrayList<>();
            Generation generation =
                    new Generator(other)
                            .generate(
                                    PROMPT,
                                    GenerationConfig.DEFAULT.withMaxNewTokens(24),
                                    seen::add);
            assertThat(generation.stopReason()).isEqualTo(StopReason.END_OF_TEXT);
            assertThat(generation.tokens()).isEqualTo(ANSWER.subList(0, first + 1)).isEqualTo(seen);
        }
    }

    @Test
    void endOfTextToken_isSuppressedUntilTheLeastTokens() throws IOException {
        int end = ANSWER.getFirst();
        try (CausalModel other = load(withEndOfText(end))) {
            GenerationConfig atLeastFour =
                    GenerationConfig.DEFAULT.withMaxNewTokens(24).withMinNewTokens(4);
            Generation generation = new Generator(other).generate(PROMPT, atLeastFour, id -> true);
            assertThat(generation.tokens().subList(0, 4)).doesNotContain(end);
        }
    }

    /** Two ids end a text, one of them beyond the vocabulary. */
    private Path withEndOfText(int id) throws IOException {
        Path folder = TinyLlama.copyTo(temporary, "generation_config.json");
        Files.writeString(
                folder.resolve("generation_config.json"),
                "{\"eos_token_id\": [%d, 999]}".formatted(id));
        return folder;
    }

    @Test
    void receiver_canEndTheText() {
        List<Integer> seen = new ArrayList<>();
        Generation generation =
                new Generator(model)
                        .generate(
                                PROMPT,
                                GenerationConfig.DEFAULT,
                                id -> {
                                    seen.add(id);
                                    return seen.size() < 3;
                                });
        assertThat(generation.stopReason()).isEqualTo(StopReason.CANCELLED);
        assertThat(generation.tokens()).isEqualTo(ANSWER.subList(0, 3)).isEqualTo(seen);
    }

    @Test
    void receiverThatThrows_leavesNoMemoryBehind() {
        generate(PROMPT, 1);
        long before = NativeMemory.liveBytes();
        assertThatThrownBy(() ->
                        new Generator(model)
                                .generate(
                                        PROMPT,
                                        GenerationConfig.DEFAULT,
                                        id -> {
                                            throw new IllegalStateException("gone");
                                        }))
                .hasMessage("gone");
        assertThat(NativeMemory.liveBytes()).isEqualTo(before);
    }

    @Test
    void fullContext_endsTheText() {
        int[] prompt = new int[60];
        Arrays.fill(prompt, 50);
        GenerationConfig ten = GenerationConfig.DEFAULT.withMaxNewTokens(10).withMinNewTokens(10);
        Generation generation = new Generator(model).generate(prompt, ten, id -> true);
        assertThat(generation.stopReason()).isEqualTo(StopReason.CONTEXT_FULL);
        assertThat(generation.tokens()).hasSize(4);
    }

    @ParameterizedTest
    @ValueSource(ints = {64, 65, 600})
    void promptAsLongAsTheContext_isAnError(int length) {
        assertThatThrownBy(() -> generate(new int[length], 1))
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        "the prompt of %d tokens leaves no room for an answer in the model's"
                                + " context of 64; shorten it",
                        length);
    }

    @Test
    void emptyPrompt_isAnError() {
        assertThatThrownBy(() -> generate(new int[0], 1))
                .isInstanceOf(ConfigException.class)
                .hasMessage("the prompt is empty; give at least one token");
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, 160})
    void idBeyondTheVocabulary_isAnError(int id) {
        assertThatThrownBy(() -> generate(new int[] {1, id}, 1))
                .isInstanceOf(FormatException.class)
                .hasMessageStartingWith(
                        "the prompt holds token id %d, the model has ids 0 to 159;", id);
    }

    @Test
    void overflowInTheModel_isAnError() {
        try (CausalModel broken = load(TinyLlama.folder())) {
            broken.parameters().getLast().value().fill(3e38); // the head
            assertThatThrownBy(() ->
                            new Generator(broken)
                                    .generate(PROMPT, GenerationConfig.DEFAULT, id -> true))
                    .isInstanceOf(FormatException.class)
                    .hasMessageMatching(
                            "the model gives -?(Infinity|NaN) as the logit of token 0 at position"
                                    + " 5; .*");
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 7, 32, 40, 41})
    void promptInChunks_givesTheLogitsOfTheWhole(int chunk) {
        int[] prompt = new int[41];
        for (int i = 0; i < prompt.length; i++) {
            prompt[i] = 3 + i * 37 % 150;
        }
        float[] whole = prefill(prompt, NextLogits.CHUNK);
        float[] pieces = prefill(prompt, chunk);
        assertThat(pieces).hasSize(160);
        for (int i = 0; i < whole.length; i++) {
            assertThat(pieces[i]).isCloseTo(whole[i], org.assertj.core.data.Offset.offset(1e-4f));
        }
    }

    private static float[] prefill(int[] prompt, int chunk) {
        try (KeyValueCache cache = new KeyValueCache(model, 1);
                NextLogits next = new NextLogits(model, InferenceHead.exact(model))) {
            return next.prefill(prompt, cache, chunk);
        }
    }

    @Test
    void seed_repeatsTheText() {
        assertThat(sampled(5)).isEqualTo(sampled(5)).isNotEqualTo(sampled(6));
    }

    private static List<Integer> sampled(long seed) {
        GenerationConfig config =
                GenerationConfig.DEFAULT
                        .withMaxNewTokens(30)
                        .withMinNewTokens(30)
                        .sampling(1.5, 0.95, seed);
        return new Generator(model).generate(PROMPT, config, id -> true).tokens();
    }

    @Test
    void manyGenerations_holdNoMemoryAndLeaveNothingToScopes() {
        generate(PROMPT, 24); // the model's rotary tables stay
        long live = NativeMemory.liveBytes();
        long freed = NativeMemory.freedBySafetyNet();
        for (int i = 1; i <= 24; i++) {
            generate(PROMPT, i);
        }
        assertThat(NativeMemory.liveBytes()).isEqualTo(live);
        assertThat(NativeMemory.freedBySafetyNet()).isEqualTo(freed);
    }

    private static Generation generate(int[] prompt, int most) {
        GenerationConfig config = GenerationConfig.DEFAULT.withMaxNewTokens(most);
        return new Generator(model).generate(prompt, config, id -> true);
    }
}
