package org.qlora4j.model;

import com.fasterxml.jackson.annotation.JsonProperty;

/** Where a model's weights come from at the start of a run. */
public enum ModelInit {
    /** From the files of the model. */
    @JsonProperty("checkpoint")
    CHECKPOINT,

    /** Drawn anew, as the library that designed the model does; only its config.json is read. */
    @JsonProperty("random")
    RANDOM
}
