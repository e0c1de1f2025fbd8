package org.qlora4j.export;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.checkpoint.GgufType;
import org.qlora4j.model.ModelFacts;

/** Types of tensors, as llama.cpp's own quantizer chooses them (llama-quant.cpp). */
class GgufFormatTest {
    private static ModelFacts facts(int layers, int heads, int kvHeads) {
        return new ModelFacts(
                "llama", 1000, 4096, 8192, layers, heads, kvHeads, 128, 4096, Set.of());
    }

    @ParameterizedTest
    @CsvSource({
        "Q4_K_M, blk.0.attn_v.weight, 0, 32, Q6_K", // the first eighth
        "Q4_K_M, blk.6.attn_v.weight, 6, 32, Q6_K", // each third
        "Q4_K_M, blk.5.attn_v.weight, 5, 32, Q4_K",
        "Q4_K_M, blk.28.ffn_down.weight, 28, 32, Q6_K", // the last eighth
        "Q4_K_M, blk.28.attn_q.weight, 28, 32, Q4_K",
        "Q4_K_M, blk.28.attn_qkv.weight, 28, 32, Q6_K",
        "Q4_K_M, blk.11.attn_v.weight, 11, 80, Q5_K", // 70 billion weights
        "Q5_K_M, blk.3.attn_v.weight, 3, 32, Q6_K",
        "Q5_K_M, blk.4.attn_v.weight, 4, 32, Q5_K",
        "IQ4_NL, blk.9.attn_v.weight, 9, 32, Q5_K", // eight query heads share keys and values
        "IQ4_NL, blk.0.ffn_down.weight, 0, 32, Q5_K",
        "IQ4_NL, blk.4.ffn_down.weight, 4, 32, IQ4_NL",
        "Q4_0, output.weight, -1, 32, Q6_K",
        "Q8_0, output.weight, -1, 32, Q8_0",
    })
    void tensor_hasTheTypeOfLlamaCpp(
            GgufFormat format, String name, int layer, int layers, GgufType type) {
        assertThat(
                        format.typeOf(
                                name,
                                new long[] {512, 4096},
                                layer,
                                facts(layers, 64, 8),
                                name.startsWith("output")))
                .isEqualTo(type);
    }

    @Test
    void rowsThatFillNoBlocks_takeANextType() {
        long[] narrow = {64, 96};
        ModelFacts facts = facts(4, 8, 8);
        assertThat(GgufFormat.Q6_K.typeOf("blk.1.attn_q.weight", narrow, 1, facts, false))
                .isEqualTo(GgufType.Q8_0);
        assertThat(GgufFormat.Q4_K_M.typeOf("blk.1.attn_q.weight", narrow, 1, facts, false))
                .isEqualTo(GgufType.Q5_0);
        assertThat(
                        GgufFormat.Q4_0.typeOf(
                                "blk.1.attn_q.weight", new long[] {64, 56}, 1, facts, false))
                .isEqualTo(GgufType.F16);
        assertThat(GgufFormat.Q4_0.typeOf("position_embd.weight", narrow, -1, facts, false))
                .isEqualTo(GgufType.F32);
    }
}
