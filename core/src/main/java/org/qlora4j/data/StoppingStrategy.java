package org.qlora4j.data;

import com.fasterxml.jackson.annotation.JsonProperty;

/** When mixing ends; the names are those of {@code datasets.interleave_datasets}. */
public enum StoppingStrategy {
    /** With the last example of the first set that runs out: none is seen twice. */
    @JsonProperty("first_exhausted")
    FIRST_EXHAUSTED,
    /** When every set has run out once: those that run out before begin again. */
    @JsonProperty("all_exhausted")
    ALL_EXHAUSTED
}
