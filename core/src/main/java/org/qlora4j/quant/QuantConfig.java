package org.qlora4j.quant;

import static org.qlora4j.error.Require.require;

/**
 * How the frozen linear weights are stored (arXiv 2305.14314, section 3).
 *
 * @param load4bit false keeps the weights as they are in the checkpoint
 * @param type the 4-bit data type
 * @param doubleQuant whether the absmax of the blocks are stored in 8 bits, saving 0.373 bits a
 *     weight
 * @param blockSize weights that share one absmax: a power of two from 32 to 4096
 */
public record QuantConfig(boolean load4bit, QuantType type, boolean doubleQuant, int blockSize) {
    public static final QuantConfig DEFAULT = new QuantConfig(true, QuantType.NF4, true, 64);

    public QuantConfig {
        require(
                blockSize >= 32 && blockSize <= 4096 && Integer.bitCount(blockSize) == 1,
                "quantization.blocksize must be a power of two from 32 to 4096, got %d",
                blockSize);
    }
}
