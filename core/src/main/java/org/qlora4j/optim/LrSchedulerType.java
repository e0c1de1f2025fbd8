package org.qlora4j.optim;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;

/** Course of the learning rate over the steps, under the names of the Hugging Face trainer. */
public enum LrSchedulerType {
    /** The same at every step, without any warm-up: the paper's. */
    @JsonProperty("constant")
    CONSTANT(),
    /** Up from 0 during warm-up, then the same. */
    @JsonProperty("constant_with_warmup")
    CONSTANT_WITH_WARMUP(),
    /** Up from 0 during warm-up, then straight down to 0 at the last step. */
    @JsonProperty("linear")
    LINEAR(),
    /** Up from 0 during warm-up, then down to 0 along half a cosine. */
    @JsonProperty("cosine")
    COSINE("num_cycles"),
    /** Up from 0 during warm-up, then down to 0 along half a cosine, and again from the top. */
    @JsonProperty("cosine_with_restarts")
    COSINE_WITH_RESTARTS("num_cycles"),
    /** As {@code cosine}, but down to a floor above 0. */
    @JsonProperty("cosine_with_min_lr")
    COSINE_WITH_MIN_LR("num_cycles", "min_lr", "min_lr_rate"),
    /** Up from 0 during warm-up, then down to a floor along a power of what is left. */
    @JsonProperty("polynomial")
    POLYNOMIAL("lr_end", "power"),
    /** Up from 0 during warm-up, then falling with the root of the step. */
    @JsonProperty("inverse_sqrt")
    INVERSE_SQRT("timescale"),
    /** Up during warm-up, the same for a while, then down. */
    @JsonProperty("warmup_stable_decay")
    WARMUP_STABLE_DECAY(
            "num_decay_steps",
            "num_stable_steps",
            "warmup_type",
            "decay_type",
            "min_lr_ratio",
            "num_cycles");

    private final List<String> kwargs;

    LrSchedulerType(String... kwargs) {
        this.kwargs = List.of(kwargs);
    }

    /** The keys that {@link LrSchedulerKwargs} may hold with this type. */
    public List<String> kwargs() {
        return kwargs;
    }

    /** As written in the settings. */
    String word() {
        return name().toLowerCase(java.util.Locale.ROOT);
    }
}
