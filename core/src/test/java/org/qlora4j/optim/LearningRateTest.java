package org.qlora4j.optim;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Locale;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import tools.jackson.databind.JsonNode;

class LearningRateTest {
    /** Every case of the table that transformers made. */
    static Stream<Arguments> cases() {
        return References.read("schedules.json")
                .valueStream()
                .map(c ->
                        Arguments.of(
                                c.get("type").asString(),
                                c.get("base").asDouble(),
                                c.get("warmup").asLong(),
                                c.get("total").asLong(),
                                c.get("rates")));
    }

    @ParameterizedTest(name = "{0} from {1}, {2} of {3} steps warm-up")
    @MethodSource("cases")
    void everyStep_hasTheRateOfTransformers(
            String type, double base, long warmup, long total, JsonNode rates) {
        var schedule =
                new LearningRate(
                        LrSchedulerType.valueOf(type.toUpperCase(Locale.ROOT)),
                        base,
                        warmup,
                        total);
        assertThat(rates.size()).isPositive();
        rates.forEachEntry((step, rate) ->
                assertThat(schedule.after(Long.parseLong(step)))
                        .as("after %s steps", step)
                        .isCloseTo(rate.asDouble(), Offset.offset(1e-15)));
    }

    /** Warm-up 10, total 110: worked out by hand from the formulas. */
    @Test
    void linearAndCosine_haveTheValuesOfTheirFormulas() {
        assertThat(new LearningRate(LrSchedulerType.LINEAR, 1, 10, 110).after(60)).isEqualTo(0.5);
        assertThat(new LearningRate(LrSchedulerType.COSINE, 1, 10, 110).after(35))
                .isCloseTo(0.8535534, Offset.offset(1e-7));
    }

    @ParameterizedTest
    @EnumSource(LrSchedulerType.class)
    void pastTheEnd_staysInRange(LrSchedulerType type) {
        var schedule = new LearningRate(type, 2e-4, 3, 12);
        assertThat(schedule.after(13)).isBetween(0.0, 2e-4);
        assertThat(schedule.after(1_000_000_000_000L)).isBetween(0.0, 2e-4);
    }
}
