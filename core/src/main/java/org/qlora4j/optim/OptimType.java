package org.qlora4j.optim;

import com.fasterxml.jackson.annotation.JsonProperty;

/** The optimizers, under the names that the Hugging Face trainer gives them. */
public enum OptimType {
    /**
     * AdamW whose 32-bit state lies in memory that the system may page out (arXiv 2305.14314,
     * section 3).
     */
    @JsonProperty("paged_adamw_32bit")
    PAGED_ADAMW_32BIT,
    /** AdamW with its 32-bit state in ordinary memory. */
    @JsonProperty("adamw_torch")
    ADAMW_TORCH
}
