package org.qlora4j.optim;

import com.fasterxml.jackson.annotation.JsonAlias;
import com.fasterxml.jackson.annotation.JsonProperty;

/** The optimizers, under the names that the Hugging Face trainer gives them. */
public enum OptimType {
    /**
     * AdamW whose 32-bit state lies in memory that the system may page out (arXiv 2305.14314,
     * section 3).
     */
    @JsonProperty("paged_adamw_32bit")
    @JsonAlias("paged_adamw")
    PAGED_ADAMW_32BIT(true, false),
    /** AdamW whose state has 8 bits for each value (arXiv 2110.02861) and may be paged out. */
    @JsonProperty("paged_adamw_8bit")
    PAGED_ADAMW_8BIT(true, true),
    /** AdamW with its 32-bit state in ordinary memory. */
    @JsonProperty("adamw_torch")
    @JsonAlias("adamw_torch_fused")
    ADAMW_TORCH(false, false),
    /** AdamW whose state has 8 bits for each value, in ordinary memory. */
    @JsonProperty("adamw_8bit")
    @JsonAlias("adamw_bnb_8bit")
    ADAMW_8BIT(false, true);

    private final boolean paged;
    private final boolean eightBit;

    OptimType(boolean paged, boolean eightBit) {
        this.paged = paged;
        this.eightBit = eightBit;
    }

    /** Whether the system may page the state out. */
    public boolean paged() {
        return paged;
    }

    /** Whether the state of large parameters has 8 bits for each value. */
    public boolean eightBit() {
        return eightBit;
    }
}
