package org.qlora4j.generate;

import java.util.ArrayList;
import java.util.List;

/** Log-probabilities of one position, by the model alone. */
final class Logprobs {
    private final float[] logits;
    private final double logSum;

    /**
     * By a sum in f64.
     *
     * @param logits of every token, which must not change after
     */
    Logprobs(float[] logits) {
        this(logits, logSumExp(logits));
    }

    /** By a sum that is there already. */
    Logprobs(float[] logits, double logSum) {
        this.logits = logits;
        this.logSum = logSum;
    }

    /** {@code log Σ exp(logit)}, without overflow. */
    static double logSumExp(float[] logits) {
        double max = Double.NEGATIVE_INFINITY;
        for (float logit : logits) {
            max = Math.max(max, logit);
        }
        double sum = 0;
        for (float logit : logits) {
            sum += Math.exp(logit - max);
        }
        return max + Math.log(sum);
    }

    double of(int id) {
        return logits[id] - logSum;
    }

    /** The token with its log-probability and those of the likeliest {@code count}. */
    Token token(int id, int count) {
        return new Token(id, of(id), top(count));
    }

    /** The likeliest, likeliest first; of equal ones the lower id comes first. */
    private List<Token.Scored> top(int count) {
        int most = Math.min(count, logits.length);
        int[] best = new int[most + 1];
        int held = 0;
        for (int id = 0; id < logits.length && most > 0; id++) {
            if (held == most && logits[id] <= logits[best[most - 1]]) {
                continue;
            }
            int at = held;
            while (at > 0 && logits[best[at - 1]] < logits[id]) {
                best[at] = best[at - 1];
                at--;
            }
            best[at] = id;
            held = Math.min(held + 1, most);
        }
        List<Token.Scored> out = new ArrayList<>(held);
        for (int i = 0; i < held; i++) {
            out.add(new Token.Scored(best[i], of(best[i])));
        }
        return out;
    }
}
