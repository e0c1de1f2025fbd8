package org.qlora4j.generate;

import java.util.Arrays;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/**
 * Draws from {@code softmax(logits / temperature)} cut down to its nucleus (arXiv 1904.09751): the
 * likeliest tokens, in falling order, up to the one with which their probabilities reach {@code
 * topP}, and always one. The set is that of transformers' {@code TopPLogitsWarper}; of equal logits
 * the lower id counts as likelier. Probabilities and their sums are f64.
 */
final class TopPSampler implements Sampler {
    /** Named, so that a seed means the same text on every JDK. */
    private static final String ALGORITHM = "L64X128MixRandom";

    private final double temperature;
    private final double topP;
    private final RandomGenerator random;

    TopPSampler(double temperature, double topP, long seed) {
        this.temperature = temperature;
        this.topP = topP;
        this.random = RandomGeneratorFactory.of(ALGORITHM).create(seed);
    }

    @Override
    public int next(float[] logits) {
        double[] probabilities = softmax(logits);
        if (topP == 1) {
            return draw(probabilities);
        }
        int[] ids = nucleus(logits, probabilities);
        double[] kept = new double[ids.length];
        for (int i = 0; i < kept.length; i++) {
            kept[i] = probabilities[ids[i]];
        }
        return ids[draw(kept)];
    }

    /** Probabilities before the cut. */
    double[] softmax(float[] logits) {
        float max = Float.NEGATIVE_INFINITY;
        for (float logit : logits) {
            max = Math.max(max, logit);
        }
        double[] out = new double[logits.length];
        double sum = 0;
        for (int i = 0; i < out.length; i++) {
            out[i] = Math.exp(((double) logits[i] - max) / temperature);
            sum += out[i];
        }
        for (int i = 0; i < out.length; i++) {
            out[i] /= sum;
        }
        return out;
    }

    /** Ids of the nucleus, likeliest first. */
    int[] nucleus(float[] logits, double[] probabilities) {
        // All n tokens of at most (1 - topP) / n together weigh no more than what is cut off, and
        // they are the least likely: they need no sorting, which leaves few that do.
        double negligible = (1 - topP) / probabilities.length;
        long[] keys = new long[probabilities.length];
        int count = 0;
        for (int id = 0; id < probabilities.length; id++) {
            if (probabilities[id] > negligible) {
                keys[count++] = key(logits[id], id);
            }
        }
        Arrays.sort(keys, 0, count);
        int[] ids = new int[Math.max(1, count)];
        int kept = 0;
        double sum = 0;
        while (kept < count && (kept == 0 || sum < topP)) {
            ids[kept] = (int) keys[kept];
            sum += probabilities[ids[kept]];
            kept++;
        }
        if (kept == 0) { // topP is 0 and all tokens are equally likely
            ids[kept++] = new GreedySampler().next(logits);
        }
        return Arrays.copyOf(ids, kept);
    }

    /** Sorts by falling logit, then by rising id, which stands in the low half. */
    private static long key(float logit, int id) {
        int bits = Float.floatToIntBits(-logit + 0f); // + 0: of the two zeros only the positive
        int ordered = bits ^ (bits >> 31 & Integer.MAX_VALUE); // as ints in the order of floats
        return (long) ordered << 32 | id;
    }

    /** An index, each with the probability of its share in the sum. */
    private int draw(double[] weights) {
        double sum = 0;
        for (double weight : weights) {
            sum += weight;
        }
        double left = random.nextDouble() * sum;
        int last = 0;
        for (int i = 0; i < weights.length; i++) {
            if (weights[i] > 0) {
                last = i; // where rounding leaves a rest behind the end, the last possible one
                left -= weights[i];
                if (left < 0) {
                    break;
                }
            }
        }
        return last;
    }
}
