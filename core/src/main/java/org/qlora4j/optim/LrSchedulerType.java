package org.qlora4j.optim;

import com.fasterxml.jackson.annotation.JsonProperty;

/** Course of the learning rate over the steps, under the names of the Hugging Face trainer. */
public enum LrSchedulerType {
    /** The same at every step, without any warm-up: the paper's. */
    @JsonProperty("constant")
    CONSTANT,
    /** Up from 0 during warm-up, then the same. */
    @JsonProperty("constant_with_warmup")
    CONSTANT_WITH_WARMUP,
    /** Up from 0 during warm-up, then straight down to 0 at the last step. */
    @JsonProperty("linear")
    LINEAR,
    /** Up from 0 during warm-up, then down to 0 along half a cosine. */
    @JsonProperty("cosine")
    COSINE
}
