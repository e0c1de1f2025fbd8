package org.qlora4j.model;

import java.util.List;

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
     * Low frequencies divided by the factor, high ones kept, a ramp over their numbers between
     * (arXiv 2309.00071).
     *
     * @param original context length before the stretch
     * @param betaFast turns over that length above which a frequency is kept
     * @param betaSlow turns below which it is divided
     * @param truncate whether the ramp begins and ends at whole numbers
     * @param attention factor of cosines and sines, so its square of the scores
     */
    record Yarn(
            double factor,
            double original,
            double betaFast,
            double betaSlow,
            boolean truncate,
            double attention)
            implements RopeScaling {
        /** The paper's factor of cosines and sines for a stretch. */
        static double attention(double factor, double mscale) {
            return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
        }

        float scale(float frequency, int i, int dims, double theta) {
            double low = place(betaFast, dims, theta);
            double high = place(betaSlow, dims, theta);
            low = Math.max(0, truncate ? Math.floor(low) : low);
            high = Math.min(dims - 1, truncate ? Math.ceil(high) : high);
            double width = low == high ? 0.001 : high - low;
            double divided = Math.clamp((i - low) / width, 0, 1);
            return (float) (frequency / factor * divided + frequency * (1 - divided));
        }

        /** The number of the frequency that turns so often over the original length. */
        private double place(double turns, int dims, double theta) {
            return dims * Math.log(original / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
        }
    }

    /**
     * Each frequency divided by a factor of its own, others beyond the original length (arXiv
     * 2402.13753).
     *
     * @param original context length before the stretch
     * @param attention factor of cosines and sines
     */
    record LongRope(
            List<Double> shortFactors, List<Double> longFactors, int original, double attention)
            implements RopeScaling {
        public LongRope {
            shortFactors = List.copyOf(shortFactors);
            longFactors = List.copyOf(longFactors);
        }
    }

    /** What cosines and sines are multiplied by. */
    default double attentionFactor() {
        return switch (this) {
            case Yarn yarn -> yarn.attention;
            case LongRope longRope -> longRope.attention;
            case Default d -> 1;
            case Linear d -> 1;
            case Dynamic d -> 1;
            case Llama3 d -> 1;
        };
    }

    /**
     * Frequencies of a head.
     *
     * @param dims d, the places of a head that are turned
     * @param maxLength the trained length, {@code max_position_embeddings}
     * @param length of the sequence; matters to {@link Dynamic} and {@link LongRope} alone
     * @return [d / 2]
     */
    default float[] frequencies(int dims, double theta, int maxLength, int length) {
        double base = theta;
        if (this instanceof Dynamic(double factor) && length > maxLength) {
            double stretch = factor * length / maxLength - (factor - 1);
            base = theta * Math.pow(stretch, dims / (dims - 2.0));
        }
        float[] out = new float[dims / 2];
        for (int i = 0; i < out.length; i++) {
            float frequency = (float) (1 / Math.pow(base, 2.0 * i / dims));
            out[i] =
                    switch (this) {
                        case Default d -> frequency;
                        case Dynamic d -> frequency;
                        case Linear(double factor) -> (float) (frequency / factor);
                        case Llama3 llama3 -> llama3.scale(frequency);
                        case Yarn yarn -> yarn.scale(frequency, i, dims, theta);
                        case LongRope(
                                        List<Double> near,
                                        List<Double> far,
                                        int original,
                                        double a) ->
                                (float) (frequency / (length > original ? far : near).get(i));
                    };
        }
        return out;
    }
}
