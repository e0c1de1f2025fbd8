package org.qlora4j.quant;

import com.fasterxml.jackson.annotation.JsonProperty;

/**
 * The two 4-bit data types of QLoRA (arXiv 2305.14314, section 3; levels in bitsandbytes
 * functional.py).
 */
public enum QuantType {
    @JsonProperty("nf4")
    NF4,
    @JsonProperty("fp4")
    FP4
}
