package org.qlora4j.quant;

import com.fasterxml.jackson.annotation.JsonProperty;
import org.qlora4j.error.ConfigException;
import org.qlora4j.kernel.CodeTable;

/**
 * The two 4-bit data types of QLoRA (arXiv 2305.14314, section 3; values as in bitsandbytes
 * functional.py).
 */
public enum QuantType {
    /**
     * 4-bit NormalFloat: levels at equal probability of a normal distribution, with an exact zero.
     */
    @JsonProperty("nf4")
    NF4(
            new float[] {
                -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
                -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
                0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f,
                        0.33791524171829224f,
                0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f
            },
            new byte[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}),
    /** 4-bit float: a sign and eight magnitudes, divided by 12. Code 8 is +0 too. */
    @JsonProperty("fp4")
    FP4(
            new float[] {
                0f, 0.0625f / 12, 8f / 12, 1f, 4f / 12, 6f / 12, 2f / 12, 3f / 12,
                0f, -0.0625f / 12, -8f / 12, -1f, -4f / 12, -6f / 12, -2f / 12, -3f / 12
            },
            // the codes in rising order of level; 0 comes before 8, so tiny positive values become
            // 8 as in bitsandbytes
            new byte[] {11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3});

    private final CodeTable table;

    QuantType(float[] levels, byte[] codeOfPosition) {
        float[] thresholds = new float[15];
        for (int i = 0; i < 15; i++) {
            double below = levels[codeOfPosition[i]];
            double above = levels[codeOfPosition[i + 1]];
            thresholds[i] =
                    (float)
                            ((below + above)
                                    / 2); // the rounded midpoint; a tie takes the lower level
        }
        this.table = new CodeTable(levels, thresholds, codeOfPosition);
    }

    /** Levels, thresholds and codes as kernels take them. */
    public CodeTable table() {
        return table;
    }

    /** The 16 levels by code, a copy. */
    public float[] levels() {
        return table.levels().clone();
    }

    /** The type of that name; see {@link #key}. */
    public static QuantType of(String key) {
        return switch (key) {
            case "nf4" -> NF4;
            case "fp4" -> FP4;
            default ->
                    throw ConfigException.of(
                            "the quantization type must be nf4 or fp4, got %s", key);
        };
    }

    /** Name in checkpoints: {@code nf4} or {@code fp4}. */
    public String key() {
        return this == NF4 ? "nf4" : "fp4";
    }
}
