package org.qlora4j.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.family.FamilyGoldenTest;
import org.qlora4j.family.Models;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.DType;
import org.qlora4j.testing.PackedJson;
import tools.jackson.databind.JsonNode;

/** Beams of the tiny model against transformers' (make_beam_reference.py). */
class BeamGeneratorTest {
    private static final Path TINY = Path.of("src/test/resources/tiny-llama");

    @TempDir Path folder;

    static Stream<Arguments> cases() throws IOException {
        return PackedJson.resource(BeamGeneratorTest.class, "beams.json.gz")
                .valueStream()
                .map(c ->
                        Arguments.of(
                                "%d ends, %s beams, penalty %s, early stopping %s, prompt of %d"
                                        .formatted(
                                                c.get("eos").size(),
                                                c.get("num_beams"),
                                                c.get("length_penalty"),
                                                c.get("early_stopping").stringValue(),
                                                c.get("prompt").size()),
                                c))
                .toList()
                .stream();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void beams_areThoseOfTransformers(String name, JsonNode c) throws IOException {
        try (CausalModel model = model(c.get("eos"))) {
            BeamConfig beams =
                    new BeamConfig(
                            c.get("num_beams").intValue(),
                            c.get("length_penalty").doubleValue(),
                            BeamConfig.EarlyStopping.valueOf(
                                    c.get("early_stopping").stringValue()));
            GenerationConfig limits =
                    GenerationConfig.DEFAULT
                            .withMaxNewTokens(c.get("max_new_tokens").intValue())
                            .withMinNewTokens(c.get("min_new_tokens").intValue());
            int[] prompt = c.get("prompt").valueStream().mapToInt(JsonNode::intValue).toArray();
            List<BeamSearch.Finished> found =
                    new BeamGenerator(model, InferenceHead.exact(model))
                            .generate(prompt, limits, beams);
            assertThat(found.stream().map(BeamSearch.Finished::tokens))
                    .containsExactlyElementsOf(
                            c.get("texts")
                                    .valueStream()
                                    .map(t -> t.valueStream().map(JsonNode::intValue).toList())
                                    .toList());
            for (int i = 0; i < c.get("scores").size(); i++) {
                double expected = c.get("scores").get(i).doubleValue();
                assertThat(found.get(i).score())
                        .isCloseTo(expected, Offset.offset(1e-4 * Math.max(1, Math.abs(expected))));
            }
        }
    }

    /** The tiny model with other ends of text. */
    private CausalModel model(JsonNode eosIds) throws IOException {
        for (String name : List.of("config.json", "model.safetensors")) {
            Files.copy(TINY.resolve(name), folder.resolve(name));
        }
        Files.writeString(
                folder.resolve("generation_config.json"), "{\"eos_token_id\": " + eosIds + "}");
        return Models.load(folder, FamilyGoldenTest.NOT_QUANTIZED, DType.F32);
    }

    @Test
    void drawnTokens_areRefused() {
        try (CausalModel model = Models.load(TINY, FamilyGoldenTest.NOT_QUANTIZED, DType.F32)) {
            BeamGenerator generator = new BeamGenerator(model, InferenceHead.exact(model));
            GenerationConfig drawn = GenerationConfig.DEFAULT.sampling(1, 1, 0);
            assertThatThrownBy(() -> generator.generate(new int[] {1}, drawn, BeamConfig.of(2)))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("beams keep the likeliest texts");
        }
    }
}
