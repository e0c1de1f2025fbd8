package org.qlora4j.optim;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.error.ConfigException;
import tools.jackson.databind.JsonNode;

class LearningRateTest {
    /** Every case of the table that transformers made. */
    static Stream<Arguments> cases() {
        return References.read("schedules.json.gz")
                .valueStream()
                .map(c ->
                        Arguments.of(
                                c.get("type").asString(),
                                c.get("kwargs"),
                                c.get("base").asDouble(),
                                c.get("warmup").asLong(),
                                c.get("total").asLong(),
                                c.get("rates")));
    }

    @ParameterizedTest(name = "{0} {1} from {2}, {3} of {4} steps warm-up")
    @MethodSource("cases")
    void everyStep_hasTheRateOfTransformers(
            String type, JsonNode kwargs, double base, long warmup, long total, JsonNode rates) {
        var schedule =
                new LearningRate(
                        LrSchedulerType.valueOf(type.toUpperCase(Locale.ROOT)),
                        kwargs(kwargs),
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
        LrSchedulerKwargs kwargs =
                switch (type) {
                    case COSINE_WITH_MIN_LR -> LrSchedulerKwargs.of(Map.of("min_lr", 1e-5));
                    case WARMUP_STABLE_DECAY -> LrSchedulerKwargs.of(Map.of("num_decay_steps", 2));
                    default -> LrSchedulerKwargs.NONE;
                };
        var schedule = new LearningRate(type, kwargs, 2e-4, 3, 12);
        assertThat(schedule.after(13)).isBetween(0.0, 2e-4);
        assertThat(schedule.after(1_000_000_000_000L)).isBetween(0.0, 2e-4);
    }

    /** Worked out by hand from the formulas: base 1, warm-up 10. */
    @Test
    void restartsRootAndPlateau_haveTheValuesOfTheirFormulas() {
        var restarts =
                new LearningRate(
                        LrSchedulerType.COSINE_WITH_RESTARTS,
                        LrSchedulerKwargs.of(Map.of("num_cycles", 2)),
                        1,
                        10,
                        110);
        assertThat(restarts.after(35)).isCloseTo(0.5, Offset.offset(1e-12));
        assertThat(restarts.after(60)).isEqualTo(1);
        assertThat(restarts.after(110)).isZero();
        assertThat(new LearningRate(LrSchedulerType.INVERSE_SQRT, 1, 10, 110).after(40))
                .isEqualTo(0.5);
        var plateau =
                new LearningRate(
                        LrSchedulerType.WARMUP_STABLE_DECAY,
                        LrSchedulerKwargs.of(
                                Map.of(
                                        "num_stable_steps", 80,
                                        "num_decay_steps", 20,
                                        "min_lr_ratio", 0.1)),
                        1,
                        10,
                        110);
        assertThat(plateau.after(5)).isCloseTo(0.55, Offset.offset(1e-12));
        assertThat(plateau.after(100)).isCloseTo(0.55, Offset.offset(1e-12));
        assertThat(plateau.after(120)).isCloseTo(0.1, Offset.offset(1e-12));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "constant | min_lr | 1 | must hold nothing with train.lr_scheduler_type constant, got min_lr",
                "cosine | power | 1 | must hold only num_cycles with train.lr_scheduler_type cosine, got power",
                "cosine_with_min_lr | num_cycles | 1 | either min_lr or min_lr_rate with train.lr_scheduler_type"
                        + " cosine_with_min_lr, got neither",
                "warmup_stable_decay | num_cycles | 1 | must hold num_decay_steps",
                "polynomial | lr_end | 0.5 | must hold an lr_end below the learning rate 2.0E-4, got 0.5",
            })
    void kwargsThatDoNotFit_areOneLine(String type, String key, double value, String part) {
        LrSchedulerKwargs kwargs = LrSchedulerKwargs.of(Map.of(key, value));
        assertThatThrownBy(() ->
                        new LearningRate(
                                LrSchedulerType.valueOf(type.toUpperCase(Locale.ROOT)),
                                kwargs,
                                2e-4,
                                3,
                                12))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith("train.lr_scheduler_kwargs ")
                .hasMessageContaining(part);
    }

    @Test
    void kwargsOfTheWrongKind_areRefused() {
        assertRefused("num_cycle", 1, "must hold keys of a schedule, got num_cycle");
        assertRefused(
                "num_cycles", "two", "must hold a number of at least 0 as num_cycles, got two");
        assertRefused("min_lr_rate", 1.5, "must hold a number in [0, 1] as min_lr_rate, got 1.5");
        assertRefused("timescale", 1.5, "must hold a whole number as timescale, got 1.5");
        assertRefused("power", 0, "must hold a number above 0 as power, got 0");
        assertRefused(
                "decay_type", "sqrt", "must hold linear, cosine or 1-sqrt as decay_type, got sqrt");
    }

    private static void assertRefused(String key, Object value, String message) {
        assertThatThrownBy(() -> LrSchedulerKwargs.of(Map.of(key, value)))
                .isInstanceOf(ConfigException.class)
                .hasMessage(message);
    }

    private static LrSchedulerKwargs kwargs(JsonNode json) {
        Map<String, Object> values = new HashMap<>();
        json.forEachEntry((key, value) ->
                values.put(key, value.isString() ? value.stringValue() : value.numberValue()));
        return LrSchedulerKwargs.of(values);
    }
}
