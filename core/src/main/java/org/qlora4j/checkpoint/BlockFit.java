package org.qlora4j.checkpoint;

import org.qlora4j.kernel.BlockDecoder;

/**
 * Scales of quantized blocks by weighted least squares: for each of some candidate scales values
 * are rounded to codes, the best scale for those codes follows in closed form, and the candidate
 * with the least error wins. Large values weigh more, as their errors do in a product.
 */
final class BlockFit {
    private static final int[] LEVELS = BlockDecoder.nlLevels();

    private BlockFit() {}

    /**
     * A block of 32 as {@code scale * code - minimum}, code from 0 to {@code most}.
     *
     * @return scale and minimum, both from 0
     */
    static float[] withMinimum(float[] x, int from, int most) {
        float least = 0;
        float largest = x[from];
        double squares = 0;
        for (int i = 0; i < 32; i++) {
            least = Math.min(least, x[from + i]);
            largest = Math.max(largest, x[from + i]);
            squares += x[from + i] * x[from + i];
        }
        if (largest <= least) {
            return new float[] {0, -least};
        }
        float[] weights = new float[32];
        float mean = (float) Math.sqrt(squares / 32);
        for (int i = 0; i < 32; i++) {
            weights[i] = mean + Math.abs(x[from + i]);
        }
        float[] best = {(largest - least) / most, -least};
        double bestError = error(x, from, weights, best[0], best[1], most);
        for (int step = -10; step <= 10; step++) {
            float inverse = (most + 0.1f * step) / (largest - least);
            float[] fit = solved(x, from, weights, inverse, least, most);
            double error = error(x, from, weights, fit[0], fit[1], most);
            if (error < bestError) {
                bestError = error;
                best = fit;
            }
        }
        return best;
    }

    /** The best scale and minimum for the codes that a candidate gives. */
    private static float[] solved(
            float[] x, int from, float[] weights, float inverse, float least, int most) {
        double w = 0;
        double wx = 0;
        double wc = 0;
        double wcc = 0;
        double wxc = 0;
        for (int i = 0; i < 32; i++) {
            float value = x[from + i];
            int code = Math.clamp(Math.round((value - least) * inverse), 0, most);
            w += weights[i];
            wx += weights[i] * value;
            wc += weights[i] * code;
            wcc += weights[i] * code * code;
            wxc += weights[i] * value * code;
        }
        double determinant = w * wcc - wc * wc;
        double scale = determinant <= 0 ? 0 : (w * wxc - wx * wc) / determinant;
        double minimum = determinant <= 0 ? 0 : (wc * wxc - wcc * wx) / determinant;
        if (minimum < 0) { // cannot be stored
            minimum = 0;
            scale = wcc == 0 ? 0 : wxc / wcc;
        }
        return new float[] {(float) Math.max(0, scale), (float) minimum};
    }

    private static double error(
            float[] x, int from, float[] weights, float scale, float minimum, int most) {
        float inverse = scale == 0 ? 0 : 1 / scale;
        double sum = 0;
        for (int i = 0; i < 32; i++) {
            int code = Math.clamp(Math.round((x[from + i] + minimum) * inverse), 0, most);
            double difference = scale * code - minimum - x[from + i];
            sum += weights[i] * difference * difference;
        }
        return sum;
    }

    /**
     * A block of 16 as {@code scale * code}, code from {@code -half} to {@code half - 1}.
     *
     * @return the scale, of either sign
     */
    static float signed(float[] x, int from, int half) {
        float extreme = extreme(x, from, 16);
        if (extreme == 0) {
            return 0;
        }
        float best = 0;
        double bestGain = -1;
        for (int step = -9; step <= 9; step++) {
            float inverse = -(half + 0.1f * step) / extreme;
            double wxc = 0;
            double wcc = 0;
            for (int i = 0; i < 16; i++) {
                float value = x[from + i];
                int code = Math.clamp(Math.round(value * inverse), -half, half - 1);
                double weight = value * value;
                wxc += weight * value * code;
                wcc += weight * code * code;
            }
            double gain = wcc == 0 ? 0 : wxc * wxc / wcc; // what of the sum of squares is met
            if (gain > bestGain) {
                bestGain = gain;
                best = wcc == 0 ? 0 : (float) (wxc / wcc);
            }
        }
        return best;
    }

    /**
     * A block of 32 as {@code scale * level}.
     *
     * @param codes receives those of the best candidate
     * @return the scale, of either sign
     */
    static float ofLevels(float[] x, int from, int[] codes) {
        float extreme = extreme(x, from, 32);
        if (extreme == 0) {
            return 0;
        }
        float best = 0;
        double bestGain = -1;
        int[] tried = new int[32];
        for (int step = -7; step <= 7; step++) {
            float inverse = (LEVELS[0] + step) / extreme;
            double wxl = 0;
            double wll = 0;
            for (int i = 0; i < 32; i++) {
                float value = x[from + i];
                tried[i] = nearestLevel(value * inverse);
                double weight = value * value;
                wxl += weight * value * LEVELS[tried[i]];
                wll += weight * LEVELS[tried[i]] * LEVELS[tried[i]];
            }
            double gain = wll == 0 ? 0 : wxl * wxl / wll;
            if (gain > bestGain) {
                bestGain = gain;
                best = wll == 0 ? 0 : (float) (wxl / wll);
                System.arraycopy(tried, 0, codes, 0, 32);
            }
        }
        return best;
    }

    /** Code of the level next to a value. */
    static int nearestLevel(float value) {
        int code = 0;
        while (code < 15 && value > (LEVELS[code] + LEVELS[code + 1]) / 2f) {
            code++;
        }
        return code;
    }

    /** The value furthest from 0; the first of equal ones. */
    private static float extreme(float[] x, int from, int count) {
        float extreme = 0;
        for (int i = from; i < from + count; i++) {
            if (Math.abs(x[i]) > Math.abs(extreme)) {
                extreme = x[i];
            }
        }
        return extreme;
    }
}
