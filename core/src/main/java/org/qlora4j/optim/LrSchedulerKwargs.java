package org.qlora4j.optim;

import com.fasterxml.jackson.annotation.JsonClassDescription;
import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.qlora4j.error.ConfigException;

/**
 * What a schedule takes besides warm-up and length: the trainer's {@code lr_scheduler_kwargs}, with
 * the keys of transformers' {@code get_*_schedule} functions. Which keys a schedule takes is said
 * by {@link LrSchedulerType#kwargs}.
 */
@JsonClassDescription("map of the schedule's own keys")
public final class LrSchedulerKwargs {
    /** No key: every schedule that can do without has its own defaults. */
    public static final LrSchedulerKwargs NONE = new LrSchedulerKwargs(Map.of());

    private static final List<String> SHAPES = List.of("linear", "cosine", "1-sqrt");
    private static final List<String> STEPS =
            List.of("num_decay_steps", "num_stable_steps", "timescale");
    private static final List<String> SHARES = List.of("min_lr_rate", "min_lr_ratio");

    private final Map<String, Object> values;

    private LrSchedulerKwargs(Map<String, Object> values) {
        this.values = Collections.unmodifiableMap(new TreeMap<>(values));
    }

    /**
     * Reads what {@link #json} gives. The message of the {@link ConfigException} for anything else
     * begins after the key, which only the caller knows.
     */
    @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
    public static LrSchedulerKwargs of(Map<String, Object> values) {
        values.forEach(LrSchedulerKwargs::check);
        return new LrSchedulerKwargs(values);
    }

    private static void check(String key, Object value) {
        boolean known = false;
        for (LrSchedulerType type : LrSchedulerType.values()) {
            known |= type.kwargs().contains(key);
        }
        if (!known) {
            throw ConfigException.of("must hold keys of a schedule, got %s", key);
        }
        if (key.endsWith("_type")) {
            if (!(value instanceof String shape) || !SHAPES.contains(shape)) {
                throw ConfigException.of(
                        "must hold linear, cosine or 1-sqrt as %s, got %s", key, value);
            }
        } else if (!(value instanceof Number number)
                || !Double.isFinite(number.doubleValue())
                || number.doubleValue() < 0) {
            throw ConfigException.of("must hold a number of at least 0 as %s, got %s", key, value);
        } else if (STEPS.contains(key) && number.doubleValue() != Math.rint(number.doubleValue())) {
            throw ConfigException.of("must hold a whole number as %s, got %s", key, value);
        } else if (SHARES.contains(key) && number.doubleValue() > 1) {
            throw ConfigException.of("must hold a number in [0, 1] as %s, got %s", key, value);
        } else if ((key.equals("timescale") || key.equals("power")) && number.doubleValue() == 0) {
            throw ConfigException.of("must hold a number above 0 as %s, got %s", key, value);
        }
    }

    /** As written in YAML. */
    @JsonValue
    public Map<String, Object> json() {
        return values;
    }

    /**
     * Refuses what a schedule does not take, and a schedule that lacks what it must be given.
     *
     * @throws ConfigException naming {@code train.lr_scheduler_kwargs}
     */
    public void requireFitting(LrSchedulerType type) {
        for (String key : values.keySet()) {
            if (!type.kwargs().contains(key)) {
                throw ConfigException.of(
                        "train.lr_scheduler_kwargs must hold %s with train.lr_scheduler_type %s, got %s",
                        type.kwargs().isEmpty()
                                ? "nothing"
                                : "only " + String.join(", ", type.kwargs()),
                        type.word(),
                        key);
            }
        }
        if (type == LrSchedulerType.COSINE_WITH_MIN_LR && has("min_lr") == has("min_lr_rate")) {
            throw ConfigException.of(
                    "train.lr_scheduler_kwargs must hold either min_lr or min_lr_rate with"
                            + " train.lr_scheduler_type cosine_with_min_lr, got %s",
                    has("min_lr") ? "both" : "neither");
        }
        if (type == LrSchedulerType.WARMUP_STABLE_DECAY && !has("num_decay_steps")) {
            throw new ConfigException(
                    "train.lr_scheduler_kwargs must hold num_decay_steps with train.lr_scheduler_type"
                            + " warmup_stable_decay");
        }
    }

    boolean has(String key) {
        return values.containsKey(key);
    }

    double number(String key, double otherwise) {
        return values.get(key) instanceof Number number ? number.doubleValue() : otherwise;
    }

    String text(String key, String otherwise) {
        return values.get(key) instanceof String text ? text : otherwise;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof LrSchedulerKwargs kwargs && values.equals(kwargs.values);
    }

    @Override
    public int hashCode() {
        return values.hashCode();
    }

    @Override
    public String toString() {
        return values.toString();
    }
}
