package org.qlora4j.model;

import com.fasterxml.jackson.annotation.JsonProperty;

/** Where the user wants the model to run. */
public enum DeviceChoice {
    /** The fastest device found. */
    @JsonProperty("auto")
    AUTO,
    @JsonProperty("cpu")
    CPU
}
