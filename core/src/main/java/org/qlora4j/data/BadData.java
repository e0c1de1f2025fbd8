package org.qlora4j.data;

import com.fasterxml.jackson.annotation.JsonProperty;

/** What a run does with data from which it would hardly learn what its owner wants. */
public enum BadData {
    /** It does not begin. */
    @JsonProperty("refuse")
    REFUSE,
    /** It says so, and begins. */
    @JsonProperty("warn")
    WARN
}
