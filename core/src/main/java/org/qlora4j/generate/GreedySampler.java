package org.qlora4j.generate;

/** The token of the largest logit, the first of equals. */
record GreedySampler() implements Sampler {
    @Override
    public int next(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            if (logits[i] > logits[best]) {
                best = i;
            }
        }
        return best;
    }
}
