package org.qlora4j.config;

import com.fasterxml.jackson.annotation.JsonProperty;

/** When a run evaluates, under the names of the Hugging Face trainer. */
public enum EvalStrategy {
    /** Not while it trains. */
    @JsonProperty("no")
    NO,
    /** Every so many steps. */
    @JsonProperty("steps")
    STEPS,
    /** After each pass over the data. */
    @JsonProperty("epoch")
    EPOCH
}
