package org.qlora4j.quant;

import com.fasterxml.jackson.annotation.JsonProperty;

/** The float type a frozen weight is dequantized to, and in which its layer multiplies. */
public enum ComputeDtype {
    @JsonProperty("bfloat16")
    BFLOAT16,
    @JsonProperty("float32")
    FLOAT32
}
