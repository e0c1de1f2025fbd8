package org.qlora4j.export;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.qlora4j.checkpoint.GgufTensors;
import org.qlora4j.checkpoint.GgufType;
import org.qlora4j.error.ConfigException;
import org.qlora4j.model.ModelFacts;

/**
 * How a GGUF file holds weights, by the names that llama.cpp gives such files. The mixtures named
 * {@code _M} hold values and down projections of some layers, and the head, in six bits; which they
 * are is llama.cpp's choice (llama-quant.cpp), so that files of the same name are the same size.
 */
public enum GgufFormat {
    F32(0, GgufType.F32),
    F16(1, GgufType.F16),
    BF16(32, GgufType.BF16),
    Q8_0(7, GgufType.Q8_0),
    Q6_K(18, GgufType.Q6_K),
    Q5_K_M(17, GgufType.Q5_K),
    Q5_1(9, GgufType.Q5_1),
    Q5_0(8, GgufType.Q5_0),
    Q4_K_M(15, GgufType.Q4_K),
    Q4_1(3, GgufType.Q4_1),
    Q4_0(2, GgufType.Q4_0),
    IQ4_NL(25, GgufType.IQ4_NL);

    /** Layers of models with 70 billion weights, whose values are small beside the rest. */
    private static final int LARGE = 80;

    /** GGUF's names of the embeddings, of a head of its own, and of learned positions. */
    static final String TABLE = "token_embd.weight";

    static final String HEAD = "output.weight";
    private static final String POSITIONS = "position_embd.weight";

    private final int fileType;
    private final GgufType most;

    GgufFormat(int fileType, GgufType most) {
        this.fileType = fileType;
        this.most = most;
    }

    /** The number under {@code general.file_type}. */
    int fileType() {
        return fileType;
    }

    /** Whether weights are floats, which lose nothing or next to nothing. */
    public boolean isFloat() {
        return most == GgufType.F32 || most == GgufType.F16 || most == GgufType.BF16;
    }

    /** The names, for messages. */
    public static String names() {
        return Arrays.stream(values()).map(GgufFormat::name).collect(Collectors.joining(", "));
    }

    /**
     * The format of a name, however its letters are written.
     *
     * @throws ConfigException if there is none
     */
    public static GgufFormat of(String name) {
        String upper = name.toUpperCase(Locale.ROOT);
        return Arrays.stream(values())
                .filter(format -> format.name().equals(upper))
                .findFirst()
                .orElseThrow(() ->
                        ConfigException.of("--type must be one of %s, got %s", names(), name));
    }

    /**
     * The type of one tensor.
     *
     * @param name GGUF's
     * @param shape slowest dimension first
     * @param layer its number; -1 if it is in none
     * @param facts of the model
     * @param isHead whether the head multiplies by it
     */
    GgufType typeOf(String name, long[] shape, int layer, ModelFacts facts, boolean isHead) {
        if (shape.length == 1 || name.equals(POSITIONS)) {
            return GgufType.F32;
        }
        GgufType wanted = most;
        int layers = facts.layers();
        int shared = facts.heads() / facts.kvHeads(); // query heads that share keys and values
        boolean mixed = this == Q4_K_M || this == Q5_K_M;
        if (isHead && !isFloat() && this != Q8_0) {
            wanted = GgufType.Q6_K;
        } else if (mixed && hasMoreBits(layer, layers) && isSensitive(name)) {
            wanted = GgufType.Q6_K;
        } else if (this == IQ4_NL && name.contains("ffn_down") && layer < layers / 8) {
            wanted = GgufType.Q5_K;
        } else if (this == IQ4_NL && isValue(name) && shared >= 4) {
            wanted = GgufType.Q5_K;
        } else if (this == Q4_K_M && isValue(name) && layers == LARGE && shared > 1) {
            wanted = GgufType.Q5_K;
        }
        return fitting(wanted, shape[shape.length - 1]);
    }

    private static boolean isSensitive(String name) {
        return isValue(name) || name.contains("ffn_down.");
    }

    private static boolean isValue(String name) {
        return name.contains("attn_v.") || name.contains("attn_qkv.");
    }

    /** The first and last eighth of the layers, and each third between. */
    private static boolean hasMoreBits(int layer, int layers) {
        return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
    }

    /** What rows of this width can be: blocks of 256 need a multiple, those of 32 likewise. */
    private static GgufType fitting(GgufType wanted, long width) {
        if (GgufTensors.writes(wanted, width)) {
            return wanted;
        }
        GgufType smaller =
                switch (wanted) {
                    case Q4_K -> GgufType.Q5_0;
                    case Q5_K -> GgufType.Q5_1;
                    case Q6_K -> GgufType.Q8_0;
                    default -> GgufType.F16;
                };
        return GgufTensors.writes(smaller, width) ? smaller : GgufType.F16;
    }
}
