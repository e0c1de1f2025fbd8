package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.autograd.Tape;
import org.qlora4j.family.Models;
import org.qlora4j.kernel.FourBitLoss;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Golden;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;

/** Greedy text and logits against transformers, in f32. */
class GeneratorGoldenTest {
    private static final QuantConfig NOT_QUANTIZED =
            new QuantConfig(
                    false, QuantConfig.DEFAULT.type(), false, QuantConfig.DEFAULT.blockSize());

    /** Of SmolLM2 on these chats, about. */
    private static final double LARGEST_LOGIT = 40;

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    @ParameterizedTest
    @ValueSource(strings = {"llama", "llama-tied-mha", "llama3-rope", "llama-linear-rope"})
    void family_generatesTheTokensOfTransformers(String family) {
        Path folder = Golden.folder().resolve("families").resolve(family);
        Golden golden = Golden.open(folder.resolve("expected.safetensors"));
        int[] expected;
        try (TensorScope scope = TensorScope.open()) {
            expected =
                    Arrays.stream(golden.tensor("generate.greedy").toLongs())
                            .mapToInt(Math::toIntExact)
                            .toArray();
        }
        int[] prompt = Arrays.copyOf(expected, 6);
        GenerationConfig twelve =
                GenerationConfig.DEFAULT.withMaxNewTokens(12).withMinNewTokens(12);
        try (CausalModel model = Models.load(folder, NOT_QUANTIZED, DType.F32)) {
            Generation generation = new Generator(model).generate(prompt, twelve, id -> true);
            assertThat(generation.tokens())
                    .containsExactly(
                            Arrays.stream(expected).skip(6).boxed().toArray(Integer[]::new));
        }
    }

    /** Both chats in one load: the model takes longer to read than to run. */
    @ParameterizedTest
    @CsvSource({"f32, false", "nf4dq, true"})
    void smollm2_givesLogitsAndTextsOfTransformers(String weights, boolean quantized) {
        Path gguf = Golden.smollm2();
        Path folder = Golden.folder().resolve("smollm2");
        Golden golden = Golden.open(folder.resolve("expected.safetensors"));
        JsonNode chats = Golden.json(folder.resolve("expected.json")).get("chats");
        assertThat(chats.size()).isEqualTo(2);
        QuantConfig quantization = quantized ? QuantConfig.DEFAULT : NOT_QUANTIZED;
        double loss = quantized ? FourBitLoss.ofModel(0) * LARGEST_LOGIT : 0;
        float close = (float) Math.max(1e-3, loss);
        try (Tokenizer tokenizer = Tokenizer.load(gguf.resolveSibling("."));
                CausalModel model = Models.load(gguf, quantization, DType.F32)) {
            for (int chat = 0; chat < 2; chat++) {
                try (TensorScope scope = TensorScope.open()) {
                    Tensor ids = golden.tensor("chat" + chat + ".input_ids");
                    compareLogits(model, ids, golden, "chat" + chat + "." + weights, close);
                    int[] prompt =
                            Arrays.stream(ids.toLongs()).mapToInt(Math::toIntExact).toArray();
                    Generation generation =
                            new Generator(model)
                                    .generate(
                                            prompt,
                                            GenerationConfig.DEFAULT.withMaxNewTokens(40),
                                            id -> true);
                    int[] tokens =
                            generation.tokens().stream().mapToInt(Integer::intValue).toArray();
                    assertThat(tokenizer.decode(tokens, false))
                            .isEqualTo(chats.get(chat).get("greedy_" + weights).asString());
                }
            }
        }
    }

    /** Logits so close, and the same top ids where theirs differ by more. */
    private static void compareLogits(
            CausalModel model, Tensor ids, Golden golden, String key, float close) {
        int time = (int) ids.size(1);
        try (TensorScope scope = TensorScope.open();
                BatchContext seen = BatchContext.of(1, time);
                Tape tape = Tape.inference()) {
            Tensor logits = model.logits(model.hidden(tape, ids, seen, false).value());
            Tensor[] top = logits.topk(16);
            float[] values = top[0].toFloats();
            long[] indices = top[1].toLongs();
            float[] expectedValues = golden.tensor(key + ".top_logits").toFloats();
            long[] expectedIndices = golden.tensor(key + ".top_ids").toLongs();
            assertThat(values).hasSameSizeAs(expectedValues);
            int compared = 0;
            for (int i = 0; i < values.length; i++) {
                assertThat(Math.abs(values[i] - expectedValues[i]))
                        .as("%s: logit %d of position %d", key, i % 16, i / 16)
                        .isLessThan(close);
                boolean aheadOfNext =
                        i % 16 < 15 && expectedValues[i] - expectedValues[i + 1] > close;
                boolean behindPrevious =
                        i % 16 == 0 || expectedValues[i - 1] - expectedValues[i] > close;
                if (aheadOfNext && behindPrevious) {
                    assertThat(indices[i])
                            .as("%s: id %d of position %d", key, i % 16, i / 16)
                            .isEqualTo(expectedIndices[i]);
                    compared++;
                }
            }
            assertThat(compared).isGreaterThan((close > 1e-3f ? 11 : 14) * time);
        }
    }
}
