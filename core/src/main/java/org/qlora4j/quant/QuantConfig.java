package org.qlora4j.quant;

import static org.qlora4j.error.Require.require;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;

/**
 * How the frozen linear weights are stored and computed with (arXiv 2305.14314, section 3): section
 * {@code quantization} of the settings, with the key names of transformers' {@code
 * BitsAndBytesConfig}.
 *
 * @param load4bit false keeps the weights as they are in the checkpoint
 * @param type the 4-bit data type
 * @param doubleQuant whether the absmax of the blocks are stored in 8 bits, saving 0.373 bits a
 *     weight
 * @param blockSize weights that share one absmax: a power of two from 32 to 4096
 * @param computeDtype type of the products, and of all that lies between layers; holds for weights
 *     that are not quantized too
 * @param load8bit whether weights are held in 8 bits by rows, LLM.int8() (arXiv 2208.07339)
 * @param int8Threshold magnitude from which an activation is an outlier, whose column is multiplied
 *     as it is; 0 for none
 * @param keepStored whether weights stay in the blocks in which a GGUF file stores them; those that
 *     are not in blocks stay as they are
 */
public record QuantConfig(
        @JsonProperty("load_in_4bit")
                @JsonPropertyDescription(
                        "Store the frozen linear weights in 4 bits; false keeps them as in the checkpoint.")
                boolean load4bit,
        @JsonProperty("bnb_4bit_quant_type") @JsonPropertyDescription("The 4-bit data type.")
                QuantType type,
        @JsonProperty("bnb_4bit_use_double_quant")
                @JsonPropertyDescription(
                        "Store the scales in 8 bits too, saving 0.373 bits a weight.")
                boolean doubleQuant,
        @JsonProperty("bnb_4bit_blocksize")
                @JsonPropertyDescription(
                        "Weights that share one scale: a power of two from 32 to 4096.")
                int blockSize,
        @JsonProperty("bnb_4bit_compute_dtype")
                @JsonPropertyDescription(
                        "Type in which layers multiply, whether or not weights are in 4 bits.")
                ComputeDtype computeDtype,
        @JsonProperty("load_in_8bit")
                @JsonPropertyDescription(
                        "Store the frozen linear weights in 8 bits by rows (LLM.int8()), in place of 4.")
                boolean load8bit,
        @JsonProperty("llm_int8_threshold")
                @JsonPropertyDescription(
                        "With 8 bits: magnitude from which an activation is an outlier, whose column is multiplied as it is; 0 for none.")
                double int8Threshold,
        @JsonProperty("keep_quantization")
                @JsonPropertyDescription(
                        "Keep the linear weights of a GGUF file in the blocks it stores (Q4_0 to Q8_0, Q4_K to Q6_K), in place of 4 bits; other"
                                + " types stay as they are.")
                boolean keepStored) {
    private static final double THRESHOLD = 6;

    /** The paper's: NF4 with double quantization, blocks of 64, products in bfloat16. */
    public static final QuantConfig DEFAULT =
            new QuantConfig(true, QuantType.NF4, true, 64, ComputeDtype.BFLOAT16);

    @JsonCreator
    public QuantConfig {
        require(
                blockSize >= 32 && blockSize <= 4096 && Integer.bitCount(blockSize) == 1,
                "quantization.bnb_4bit_blocksize must be a power of two from 32 to 4096, got %d",
                blockSize);
        require(
                !load4bit || !load8bit,
                "quantization.load_in_4bit must be false where load_in_8bit is true: weights are held in one way");
        require(
                !keepStored || !load4bit && !load8bit,
                "quantization.load_in_%sbit must be false where keep_quantization is true: weights are held in one way",
                load4bit ? 4 : 8);
        require(
                int8Threshold >= 0 && Double.isFinite(int8Threshold),
                "quantization.llm_int8_threshold must be at least 0, got %s",
                int8Threshold);
    }

    /** Without 8 bits. */
    public QuantConfig(
            boolean load4bit,
            QuantType type,
            boolean doubleQuant,
            int blockSize,
            ComputeDtype computeDtype) {
        this(load4bit, type, doubleQuant, blockSize, computeDtype, false, THRESHOLD, false);
    }

    /** With products in the default compute type. */
    public QuantConfig(boolean load4bit, QuantType type, boolean doubleQuant, int blockSize) {
        this(load4bit, type, doubleQuant, blockSize, ComputeDtype.BFLOAT16);
    }

    /** The same with weights in 4 bits, or as they are in the checkpoint. */
    public QuantConfig withLoad4bit(boolean wanted) {
        return new QuantConfig(
                wanted, type, doubleQuant, blockSize, computeDtype, false, int8Threshold, false);
    }

    /** The same with products in another type. */
    public QuantConfig withComputeDtype(ComputeDtype wanted) {
        return new QuantConfig(
                load4bit,
                type,
                doubleQuant,
                blockSize,
                wanted,
                load8bit,
                int8Threshold,
                keepStored);
    }

    /** The same with weights in 8 bits by rows. */
    public QuantConfig in8bit(double threshold) {
        return new QuantConfig(
                false, type, doubleQuant, blockSize, computeDtype, true, threshold, false);
    }

    /** The same with weights in the blocks that a GGUF file stores. */
    public QuantConfig keepingStored() {
        return new QuantConfig(
                false, type, doubleQuant, blockSize, computeDtype, false, int8Threshold, true);
    }

    /** Whether linear weights are held in few bits. */
    public boolean quantizes() {
        return load4bit || load8bit || keepStored;
    }
}
