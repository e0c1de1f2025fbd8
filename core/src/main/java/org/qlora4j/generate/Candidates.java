package org.qlora4j.generate;

import java.util.Arrays;
import java.util.random.RandomGenerator;

/**
 * The tokens that may be drawn, and their probabilities: {@code softmax(logits / temperature)}, cut
 * down as transformers' logits warpers do, one after the other, each on the probabilities that the
 * one before leaves. Probabilities and their sums are f64.
 */
final class Candidates {
    private final float[] logits;
    private int[] ids; // with p
    private double[] p; // their sum is 1

    /** Every token that is not ruled out. */
    Candidates(float[] logits, double temperature) {
        this.logits = logits;
        float max = Float.NEGATIVE_INFINITY;
        for (float logit : logits) {
            max = Math.max(max, logit);
        }
        ids = new int[logits.length];
        p = new double[logits.length];
        int count = 0;
        for (int id = 0; id < logits.length; id++) {
            if (logits[id] != Float.NEGATIVE_INFINITY) {
                ids[count] = id;
                p[count++] = Math.exp(((double) logits[id] - max) / temperature);
            }
        }
        keep(count);
    }

    /** What the settings leave. */
    static Candidates of(float[] logits, GenerationConfig config) {
        Candidates all = new Candidates(logits, config.temperature());
        if (config.topK() > 0) {
            all.topK(config.topK());
        }
        if (config.topP() < 1) {
            all.topP(config.topP());
        }
        if (config.minP() > 0) {
            all.minP(config.minP());
        }
        if (config.typicalP() < 1) {
            all.typical(config.typicalP());
        }
        return all;
    }

    int[] ids() {
        return ids;
    }

    /** Probabilities of {@link #ids}, in their order. */
    double[] probabilities() {
        return p;
    }

    /** Takes the first so many, and makes their probabilities a whole again. */
    private void keep(int count) {
        ids = ids.length == count ? ids : Arrays.copyOf(ids, count);
        p = p.length == count ? p : Arrays.copyOf(p, count);
        double sum = 0;
        for (double each : p) {
            sum += each;
        }
        for (int i = 0; i < count; i++) {
            p[i] /= sum;
        }
    }

    private void swap(int to, int from) {
        ids[to] = ids[from];
        p[to] = p[from];
    }

    /** Drops tokens less likely than the k-th; those as likely stay. */
    private void topK(int k) {
        if (k >= ids.length) {
            return;
        }
        float[] sorted = new float[ids.length];
        for (int i = 0; i < sorted.length; i++) {
            sorted[i] = logits[ids[i]];
        }
        float least = kthLargest(sorted, k);
        int kept = 0;
        for (int i = 0; i < ids.length; i++) {
            if (logits[ids[i]] >= least) {
                swap(kept++, i);
            }
        }
        keep(kept);
    }

    /** By quickselect, which reorders the values. */
    private static float kthLargest(float[] values, int k) {
        int target = values.length - k;
        int from = 0;
        int to = values.length - 1;
        while (from < to) {
            float pivot = values[(from + to) >>> 1];
            int low = from;
            int high = to;
            while (low <= high) {
                while (values[low] < pivot) {
                    low++;
                }
                while (values[high] > pivot) {
                    high--;
                }
                if (low <= high) {
                    float swapped = values[low];
                    values[low++] = values[high];
                    values[high--] = swapped;
                }
            }
            if (target <= high) {
                to = high;
            } else if (target >= low) {
                from = low;
            } else {
                break;
            }
        }
        return values[target];
    }

    /**
     * Takes the likeliest tokens, up to the one with which they reach a probability (arXiv
     * 1904.09751). They stand in falling order, and there is always one; of equal logits the lower
     * id counts as likelier.
     */
    private void topP(double topP) {
        // All n tokens of at most (1 - topP) / n together weigh no more than what is cut off, and
        // they are the least likely: they need no sorting, which leaves few that do.
        double negligible = (1 - topP) / p.length;
        long[] keys = new long[p.length];
        int count = 0;
        for (int i = 0; i < p.length; i++) {
            if (p[i] > negligible) {
                keys[count++] = key(logits[ids[i]], i);
            }
        }
        Arrays.sort(keys, 0, count);
        int[] places = new int[Math.max(1, count)];
        int kept = 0;
        double sum = 0;
        while (kept < count && (kept == 0 || sum < topP)) {
            places[kept] = (int) keys[kept];
            sum += p[places[kept]];
            kept++;
        }
        if (kept == 0) { // topP is 0 and all tokens are equally likely
            places[kept++] = likeliest();
        }
        pick(places, kept);
    }

    private void pick(int[] places, int count) {
        int[] fewIds = new int[count];
        double[] fewP = new double[count];
        for (int i = 0; i < count; i++) {
            fewIds[i] = ids[places[i]];
            fewP[i] = p[places[i]];
        }
        ids = fewIds;
        p = fewP;
        keep(count);
    }

    private int likeliest() {
        int best = 0;
        for (int i = 1; i < p.length; i++) {
            best = p[i] > p[best] ? i : best;
        }
        return best;
    }

    /** Sorts by falling logit, then by rising place, which stands in the low half. */
    private static long key(float logit, int place) {
        int bits = Float.floatToIntBits(-logit + 0f); // + 0: of the two zeros only the positive
        int ordered = bits ^ (bits >> 31 & Integer.MAX_VALUE); // as ints in the order of floats
        return (long) ordered << 32 | place;
    }

    /** Drops tokens less likely than a share of the likeliest (arXiv 2407.01082). */
    private void minP(double share) {
        double least = share * p[likeliest()];
        int kept = 0;
        for (int i = 0; i < p.length; i++) {
            if (p[i] >= least) {
                swap(kept++, i);
            }
        }
        keep(kept);
    }

    /**
     * Takes the tokens whose surprise {@code -ln p} is nearest its expectation, up to a probability
     * (arXiv 2202.00666). Those just as near as the last of them stay too.
     */
    private void typical(double mass) {
        double entropy = 0;
        for (double each : p) {
            entropy -= each == 0 ? 0 : each * Math.log(each);
        }
        double[] distance = new double[p.length];
        Integer[] order = new Integer[p.length];
        for (int i = 0; i < p.length; i++) {
            distance[i] = Math.abs(-Math.log(p[i]) - entropy);
            order[i] = i;
        }
        Arrays.sort(order, (a, b) -> Double.compare(distance[a], distance[b]));
        int last = 0;
        double sum = 0;
        while (last < order.length - 1 && (sum += p[order[last]]) < mass) {
            last++;
        }
        double limit = distance[order[last]];
        int kept = 0;
        for (int i = 0; i < p.length; i++) {
            if (distance[i] <= limit) {
                swap(kept++, i);
            }
        }
        keep(kept);
    }

    /** A token, each with its probability. */
    int draw(RandomGenerator random) {
        double sum = 0;
        for (double each : p) {
            sum += each;
        }
        double left = random.nextDouble() * sum;
        int last = 0;
        for (int i = 0; i < p.length; i++) {
            if (p[i] > 0) {
                last = i; // where rounding leaves a rest behind the end, the last possible one
                left -= p[i];
                if (left < 0) {
                    break;
                }
            }
        }
        return ids[last];
    }
}
