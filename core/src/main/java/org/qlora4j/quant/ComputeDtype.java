package org.qlora4j.quant;

import com.fasterxml.jackson.annotation.JsonProperty;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.DType;

/** The float type a frozen weight is dequantized to, and in which its layer multiplies. */
public enum ComputeDtype {
    @JsonProperty("bfloat16")
    BFLOAT16,
    @JsonProperty("float32")
    FLOAT32;

    /**
     * What the device of this process computes in: float32 where it has no instructions for
     * bfloat16.
     */
    public DType onThisMachine() {
        return this == FLOAT32 ? DType.F32 : Kernels.current().defaultCompute();
    }
}
