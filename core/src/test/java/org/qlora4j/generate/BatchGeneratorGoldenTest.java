package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.family.Models;
import org.qlora4j.generate.BatchGenerator.Request;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.testing.Golden;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;

/** Greedy texts of many rows at once against transformers, in f32. */
class BatchGeneratorGoldenTest {
    private static final QuantConfig NOT_QUANTIZED =
            new QuantConfig(
                    false, QuantConfig.DEFAULT.type(), false, QuantConfig.DEFAULT.blockSize());

    @BeforeAll
    static void goldenFiles() {
        Golden.folder();
    }

    /** Prompts of 6 to 17 ids of one text: each goes on as the text does. */
    @ParameterizedTest
    @ValueSource(strings = {"llama", "llama-tied-mha", "llama3-rope", "llama-linear-rope"})
    void family_generatesTheTokensOfTransformers(String family) {
        Path folder = Golden.folder().resolve("families").resolve(family);
        Golden golden = Golden.open(folder.resolve("expected.safetensors"));
        int[] text = ints(golden, "generate.greedy");
        int left = text.length - 6;
        assertThat(left).isEqualTo(12);
        List<Request> requests =
                IntStream.range(0, left)
                        .mapToObj(i ->
                                new Request(
                                        i,
                                        Arrays.copyOf(text, 6 + i),
                                        GenerationConfig.DEFAULT
                                                .withMaxNewTokens(left - i)
                                                .withMinNewTokens(left - i)))
                        .toList();
        try (CausalModel model = Models.load(folder, NOT_QUANTIZED, DType.F32)) {
            Map<Integer, Generation> got = generate(model, 5, requests);
            assertThat(got).hasSize(left);
            got.forEach((i, generation) ->
                    assertThat(generation.tokens())
                            .as("from %d ids", 6 + i)
                            .isEqualTo(Arrays.stream(text).skip(6L + i).boxed().toList()));
        }
    }

    /** Both chats, three times each, in four rows. */
    @Test
    void smollm2_givesTheTextsOfTransformers() {
        Path gguf = Golden.smollm2();
        Path folder = Golden.folder().resolve("smollm2");
        Golden golden = Golden.open(folder.resolve("expected.safetensors"));
        JsonNode chats = Golden.json(folder.resolve("expected.json")).get("chats");
        GenerationConfig forty = GenerationConfig.DEFAULT.withMaxNewTokens(40);
        try (Tokenizer tokenizer = Tokenizer.load(gguf.resolveSibling("."));
                CausalModel model = Models.load(gguf, NOT_QUANTIZED, DType.F32)) {
            List<Request> requests =
                    IntStream.range(0, 6)
                            .mapToObj(i ->
                                    new Request(
                                            i, ints(golden, "chat" + i % 2 + ".input_ids"), forty))
                            .toList();
            Map<Integer, Generation> got = generate(model, 4, requests);
            assertThat(got).hasSize(6);
            got.forEach((i, generation) -> {
                int[] tokens = generation.tokens().stream().mapToInt(Integer::intValue).toArray();
                assertThat(tokenizer.decode(tokens, false))
                        .isEqualTo(chats.get(i % 2).get("greedy_f32").asString());
            });
        }
    }

    private static int[] ints(Golden golden, String name) {
        try (TensorScope scope = TensorScope.open()) {
            return Arrays.stream(golden.tensor(name).toLongs())
                    .mapToInt(Math::toIntExact)
                    .toArray();
        }
    }

    private static Map<Integer, Generation> generate(
            CausalModel model, int rows, List<Request> requests) {
        Map<Integer, Generation> out = new TreeMap<>();
        Iterator<Request> left = requests.iterator();
        new BatchGenerator(model, rows)
                .generate(
                        () -> left.hasNext() ? left.next() : null,
                        (request, generation) -> out.put(request.index(), generation));
        return out;
    }
}
