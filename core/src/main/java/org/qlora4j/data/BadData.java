package org.qlora4j.data;

import com.fasterxml.jackson.annotation.JsonProperty;

/** What a run does with data from which it would hardly learn what its owner wants. */
public enum BadData {
    /** It does not begin. */
    @JsonProperty("refuse")
    REFUSE,
    /** It says so, and begins. */
    @JsonProperty("warn")
    WARN,
    /** It leaves out records that have a fault, and tells them; in other respects as REFUSE. */
    @JsonProperty("skip")
    SKIP
}
