package org.qlora4j.config;

import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;

/**
 * Sets keys of the section {@code quantization}. What each means stands at the component of {@link
 * QuantConfig} that has its name.
 */
public final class QuantizationKeys {
    private final SectionValues values;

    QuantizationKeys(SectionValues values) {
        this.values = values;
    }

    private QuantizationKeys set(String key, Object value) {
        values.put(key, value);
        return this;
    }

    public QuantizationKeys load4bit(boolean load4bit) {
        return set("load_in_4bit", load4bit);
    }

    public QuantizationKeys type(QuantType type) {
        return set("bnb_4bit_quant_type", type);
    }

    public QuantizationKeys doubleQuant(boolean doubleQuant) {
        return set("bnb_4bit_use_double_quant", doubleQuant);
    }

    public QuantizationKeys blockSize(int blockSize) {
        return set("bnb_4bit_blocksize", blockSize);
    }

    public QuantizationKeys computeDtype(ComputeDtype computeDtype) {
        return set("bnb_4bit_compute_dtype", computeDtype);
    }

    /** Sets {@code load_in_8bit}; {@link #load4bit} must be false beside it. */
    public QuantizationKeys load8bit(boolean load8bit) {
        return set("load_in_8bit", load8bit);
    }

    /** Sets {@code keep_quantization}; {@link #load4bit} must be false beside it. */
    public QuantizationKeys keepStored(boolean keepStored) {
        return set("keep_quantization", keepStored);
    }

    public QuantizationKeys int8Threshold(double int8Threshold) {
        return set("llm_int8_threshold", int8Threshold);
    }
}
