package org.qlora4j.train;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.qlora4j.autograd.SoftTargets;
import org.qlora4j.tokenize.TokenRefinement;

/**
 * What a teacher says about the tokens of one example, in the tokens of the student. Where the
 * student's vocabulary is cut, one token of the teacher is a sequence of pieces there, and its
 * probabilities become the student's so:
 *
 * <ul>
 *   <li>Before the first piece of a token, a piece has the sum of the teacher's probabilities of
 *       all tokens that begin with it.
 *   <li>Inside a token, a piece has the share that tokens going on with it have among those that
 *       begin with the pieces so far and go on at all. If there are none, the label alone counts.
 * </ul>
 *
 * <p>On text that the teacher wrote, both together are right on average: where its token might as
 * well have ended, the next example may be the one in which it does.
 *
 * @param offsets where the targets of each token begin [length + 1]; those of token 0 are none
 * @param ids of the student
 * @param probabilities of them, summing to 1 for each token that has targets
 */
@SuppressWarnings("ArrayRecordComponent") // a bundle of arrays, never compared
record TeacherTargets(int[] offsets, int[] ids, float[] probabilities) {
    /** Collects the targets of one example, token by token. */
    static final class Builder {
        private final TokenRefinement refinement;
        private int[] offsets = new int[1];
        private int[] ids = new int[256];
        private float[] probabilities = new float[256];
        private int tokens;
        private int size;

        Builder(TokenRefinement refinement) {
            this.refinement = refinement;
        }

        /** The next token has no target. */
        void none() {
            endToken();
        }

        private void endToken() {
            tokens++;
            if (tokens == offsets.length) {
                offsets = Arrays.copyOf(offsets, 2 * tokens);
            }
            offsets[tokens] = size;
        }

        /**
         * The pieces of one token of the teacher.
         *
         * @param pieces the student's tokens that write it
         * @param likely the teacher's likeliest tokens in its place
         * @param p their probabilities
         */
        void token(int[] pieces, int[] likely, float[] p) {
            for (int i = 0; i < pieces.length; i++) {
                Map<Integer, Double> mass = new LinkedHashMap<>();
                double sum = 0;
                for (int j = 0; j < likely.length; j++) {
                    int[] other = refinement.pieces(likely[j]);
                    if (other.length > i && Arrays.equals(other, 0, i, pieces, 0, i)) {
                        mass.merge(other[i], (double) p[j], Double::sum);
                        sum += p[j];
                    }
                }
                add(mass, sum);
                endToken();
            }
        }

        private void add(Map<Integer, Double> mass, double sum) {
            if (!(sum > 0)) {
                return;
            }
            if (size + mass.size() > ids.length) {
                ids = Arrays.copyOf(ids, 2 * ids.length + mass.size());
                probabilities = Arrays.copyOf(probabilities, ids.length);
            }
            for (Map.Entry<Integer, Double> one : mass.entrySet()) {
                ids[size] = one.getKey();
                probabilities[size++] = (float) (one.getValue() / sum);
            }
        }

        TeacherTargets build() {
            return new TeacherTargets(
                    Arrays.copyOf(offsets, tokens + 1),
                    Arrays.copyOf(ids, size),
                    Arrays.copyOf(probabilities, size));
        }
    }

    /** Tokens of the example. */
    int length() {
        return offsets.length - 1;
    }

    /**
     * Puts the targets where a batch predicts the tokens: one position before each.
     *
     * @param first position of the example's first token
     */
    void copyTo(SoftTargets targets, int first) {
        for (int t = 1; t < length(); t++) {
            int at = (first + t - 1) * targets.width();
            int count = offsets[t + 1] - offsets[t];
            System.arraycopy(ids, offsets[t], targets.ids(), at, count);
            System.arraycopy(probabilities, offsets[t], targets.probabilities(), at, count);
        }
    }
}
