package org.qlora4j.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.testing.PackedJson;
import tools.jackson.databind.JsonNode;

/** Frequencies of every rope_type against transformers' (make_rope_reference.py). */
class RopeTest {
    static Stream<Arguments> cases() {
        return PackedJson.resource(RopeTest.class, "rope-reference.json.gz")
                .valueStream()
                .map(c -> Arguments.of(c.get("name").stringValue(), c));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void frequencies_areThoseOfTransformers(String name, JsonNode expected) {
        ConfigFile config = new ConfigFile(Path.of("config.json"), expected.get("config"));
        ModelFacts facts = config.facts(2048);
        Rope rope = Rope.partial(config, facts, facts.maxPositions());
        float[] actual =
                rope.scaling()
                        .frequencies(
                                (int) (facts.headDim() * rope.share()),
                                rope.theta(),
                                facts.maxPositions(),
                                expected.get("length").intValue());
        JsonNode frequencies = expected.get("frequencies");
        assertThat(actual).hasSize(frequencies.size());
        for (int i = 0; i < actual.length; i++) {
            assertThat((double) actual[i])
                    .as("frequency %d", i)
                    .isCloseTo(frequencies.get(i).doubleValue(), Percentage.withPercentage(1e-4));
        }
        assertThat(rope.scaling().attentionFactor())
                .isCloseTo(expected.get("attention").doubleValue(), Offset.offset(1e-12));
    }
}
