package org.qlora4j.model;

/**
 * How rotary frequencies are stretched for longer contexts (transformers' {@code
 * modeling_rope_utils.py}). Frequencies are {@code theta^(-2i/d)} for i below d/2, in f32.
 */
public sealed interface RopeScaling {
    /** Frequencies as they are. */
    record Default() implements RopeScaling {}

    /** All frequencies divided by the factor. */
    record Linear(double factor) implements RopeScaling {}

    /** A larger theta for sequences beyond the trained length. */
    record Dynamic(double factor) implements RopeScaling {}

    /**
     * Low frequencies divided by the factor, high ones kept, a smooth step between.
     *
     * @param original context length before the stretch
     */
    record Llama3(double factor, double lowFreqFactor, double highFreqFactor, double original)
            implements RopeScaling {
        float scale(float frequency) {
            double wavelength = 2 * Math.PI / frequency;
            if (wavelength < original / highFreqFactor) {
                return frequency;
            }
            if (wavelength > original / lowFreqFactor) {
                return (float) (frequency / factor);
            }
            double keep =
                    (original / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
            return (float) ((1 - keep) * frequency / factor + keep * frequency);
        }
    }

    /**
     * Frequencies of a head.
     *
     * @param headDim d
     * @param maxLength the trained length, {@code max_position_embeddings}
     * @param length of the sequence; matters to {@link Dynamic} alone
     * @return [d / 2]
     */
    default float[] frequencies(int headDim, double theta, int maxLength, int length) {
        double base = theta;
        if (this instanceof Dynamic(double factor) && length > maxLength) {
            double stretch = factor * length / maxLength - (factor - 1);
            base = theta * Math.pow(stretch, headDim / (headDim - 2.0));
        }
        float[] out = new float[headDim / 2];
        for (int i = 0; i < out.length; i++) {
            float frequency = (float) (1 / Math.pow(base, 2.0 * i / headDim));
            out[i] =
                    switch (this) {
                        case Default d -> frequency;
                        case Dynamic d -> frequency;
                        case Linear(double factor) -> (float) (frequency / factor);
                        case Llama3 llama3 -> llama3.scale(frequency);
                    };
        }
        return out;
    }
}
