package org.qlora4j.metric;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.qlora4j.testing.PackedJson;
import tools.jackson.databind.JsonNode;

/** Figures of answers equal those of rouge_score, NLTK, scikit-learn and scipy. */
class MetricsTest {
    private static final Offset<Double> CLOSE = Offset.offset(1e-12);
    private final JsonNode references =
            PackedJson.resource(MetricsTest.class, "references.json.gz");

    @Test
    void stems_areThoseOfNltk() {
        JsonNode stems = references.path("stems");
        assertThat(stems.size()).isGreaterThan(400);
        stems.forEachEntry((word, stem) ->
                assertThat(PorterStemmer.stem(word)).as(word).isEqualTo(stem.asString()));
    }

    @Test
    void rougeL_isThatOfRougeScore() {
        assertThat(references.path("texts").size()).isEqualTo(50);
        for (JsonNode text : references.path("texts")) {
            String expected = text.path("expected").asString();
            String answer = text.path("answer").asString();
            assertThat(new RougeL(false).f1(expected, answer))
                    .as("%s / %s", expected, answer)
                    .isCloseTo(text.path("rougeL").asDouble(), CLOSE);
            assertThat(new RougeL(true).f1(expected, answer))
                    .as("%s / %s with stems", expected, answer)
                    .isCloseTo(text.path("rougeL_stems").asDouble(), CLOSE);
            Map<String, Double> scores = Answers.scores(List.of(expected), List.of(answer));
            assertThat(scores.get(Answers.EXACT_MATCH))
                    .as("%s / %s exactly", expected, answer)
                    .isEqualTo(text.path("exact").asBoolean() ? 100.0 : 0.0);
        }
    }

    @Test
    void scoresOfClasses_areThoseOfScikitLearn() {
        for (JsonNode c : references.path("classes")) {
            Map<String, Double> scores =
                    ClassScores.of(
                            ints(c.path("expected")),
                            ints(c.path("predicted")),
                            c.path("classes").asInt());
            assertThat(scores).hasSize(3);
            scores.forEach((name, value) ->
                    assertThat(value).as(name).isCloseTo(c.path(name).asDouble(), CLOSE));
        }
    }

    @Test
    void correlations_areThoseOfScipy() {
        for (JsonNode c : references.path("numbers")) {
            Map<String, Double> scores =
                    Correlation.of(doubles(c.path("expected")), doubles(c.path("predicted")));
            assertThat(scores).hasSize(2);
            scores.forEach((name, value) ->
                    assertThat(value).as(name).isCloseTo(c.path(name).asDouble(), CLOSE));
        }
        assertThat(Correlation.pearson(new double[] {1, 1}, new double[] {1, 2})).isNaN();
    }

    private static int[] ints(JsonNode list) {
        return list.valueStream().mapToInt(JsonNode::asInt).toArray();
    }

    private static double[] doubles(JsonNode list) {
        return list.valueStream().mapToDouble(JsonNode::asDouble).toArray();
    }
}
