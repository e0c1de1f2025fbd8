package org.qlora4j.quant;

import com.fasterxml.jackson.annotation.JsonProperty;
import org.qlora4j.kernel.CpuFeatures;
import org.qlora4j.tensor.DType;

/** The float type a frozen weight is dequantized to, and in which its layer multiplies. */
public enum ComputeDtype {
    @JsonProperty("bfloat16")
    BFLOAT16,
    @JsonProperty("float32")
    FLOAT32;

    /**
     * What this machine computes in: float32 where it has no instructions for bfloat16, with one
     * warning.
     */
    public DType onThisMachine() {
        return this == FLOAT32 ? DType.F32 : CpuFeatures.defaultCompute();
    }
}
