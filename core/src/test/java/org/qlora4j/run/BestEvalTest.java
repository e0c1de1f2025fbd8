package org.qlora4j.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.train.EvaluationTest;
import tools.jackson.databind.JsonNode;

class BestEvalTest {
    static Stream<JsonNode> cases() {
        return EvaluationTest.references().get("early_stopping").valueStream();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void sequence_isCountedAsTransformersDoes(JsonNode expected) {
        int patience = expected.get("patience").asInt();
        BestEval best = null;
        int step = 0;
        boolean stopped = false;
        for (JsonNode after : expected.get("after")) {
            assertThat(stopped).as("stopped before evaluation %d", step + 1).isFalse();
            double value = expected.get("values").get(step).asDouble();
            best = BestEval.after(best, value, ++step, false, expected.get("threshold").asDouble());
            assertThat(best)
                    .isEqualTo(
                            new BestEval(
                                    after.get("best").asDouble(),
                                    after.get("step").asLong(),
                                    after.get("patience_used").asInt()));
            stopped = best.patienceUsed() >= patience;
        }
        assertThat(step).isPositive();
        assertThat(stopped).isEqualTo(!expected.get("stopped").isNull());
    }

    @Test
    void firstIsNotANumber_nextIsBest() {
        BestEval nan = BestEval.after(null, Double.NaN, 1, false, 0);
        assertThat(BestEval.after(nan, 3, 2, false, 0)).isEqualTo(new BestEval(3, 2, 0));
        assertThat(BestEval.after(new BestEval(3, 2, 0), Double.NaN, 3, false, 0))
                .isEqualTo(new BestEval(3, 2, 1));
    }
}
