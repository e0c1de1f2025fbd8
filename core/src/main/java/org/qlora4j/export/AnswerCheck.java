package org.qlora4j.export;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Tape;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Compares what a model and its export say: greedy answers, and along them the distributions of the
 * next token. Weights that lie wrongly in the file (rows in another order, a norm without its 1)
 * give another text at once, however finely they are kept.
 */
final class AnswerCheck {
    private static final int TOKENS = 16;

    /** Logits of one model that are so near each other may change places by rounding. */
    private static final float TIE = 0.1f;

    /** Nats a token by which the distributions of a model in few bits may differ. */
    private static final double FAR = 1.0;

    private AnswerCheck() {}

    /**
     * An answer to a prompt.
     *
     * @param logits of the token after each place of the answer's begin, [tokens][vocabulary]
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Answer(int[] prompt, int[] tokens, float[][] logits) {}

    /** Greedy answers, which also end at stop tokens; on the engine's thread. */
    static List<Answer> answers(CausalModel model, List<int[]> prompts, Set<Integer> stops) {
        List<Answer> out = new ArrayList<>();
        for (int[] prompt : prompts) {
            int[] text = prompt.clone();
            List<float[]> all = new ArrayList<>();
            while (text.length < prompt.length + TOKENS
                    && text.length < model.maxPositions()
                    && !(text.length > prompt.length && stops.contains(text[text.length - 1]))) {
                float[] logits = logits(model, text, text.length - 1)[0];
                all.add(logits);
                text = Arrays.copyOf(text, text.length + 1);
                text[text.length - 1] = best(logits);
            }
            out.add(
                    new Answer(
                            prompt,
                            Arrays.copyOfRange(text, prompt.length, text.length),
                            all.toArray(float[][]::new)));
        }
        return out;
    }

    /** Logits behind each place from one on. */
    private static float[][] logits(CausalModel model, int[] ids, int from) {
        int time = ids.length;
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.inference();
                BatchContext seen = BatchContext.of(1, time)) {
            Tensor input = Tensors.of(Arrays.stream(ids).asLongStream().toArray(), 1, time);
            Tensor hidden =
                    model.hidden(tape, input, seen, false)
                            .value()
                            .view(time, model.shape().hiddenSize())
                            .narrow(0, from, time - from)
                            .contiguous();
            Tensor logits = model.logits(hidden).to(DType.F32);
            float[][] out = new float[time - from][];
            for (int row = 0; row < out.length; row++) {
                out[row] = logits.select(0, row).contiguous().toFloats();
            }
            return out;
        }
    }

    private static int best(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            if (logits[i] > logits[best]) {
                best = i;
            }
        }
        return best;
    }

    /**
     * What the exported model says otherwise, or null.
     *
     * @param floats whether it holds weights as floats, so that every answer must be the same
     */
    static @Nullable String difference(
            List<Answer> expected, CausalModel exported, Tokenizer tokenizer, boolean floats) {
        double divergence = 0;
        int tokens = 0;
        for (Answer answer : expected) {
            if (answer.tokens.length == 0) {
                continue;
            }
            int[] text =
                    Arrays.copyOf(answer.prompt, answer.prompt.length + answer.tokens.length - 1);
            System.arraycopy(
                    answer.tokens, 0, text, answer.prompt.length, answer.tokens.length - 1);
            float[][] logits = logits(exported, text, answer.prompt.length - 1);
            for (int i = 0; i < logits.length; i++) {
                divergence += divergence(answer.logits[i], logits[i]);
                tokens++;
                int said = best(logits[i]);
                boolean tie = answer.logits[i][answer.tokens[i]] - answer.logits[i][said] < TIE;
                if (floats && said != answer.tokens[i] && !tie) {
                    return parted(answer, i, said, tokenizer);
                }
            }
        }
        double mean = tokens == 0 ? 0 : divergence / tokens;
        return mean <= FAR
                ? null
                : "the export's next tokens are %.2f nats from the model's, which rounding does not explain; %s"
                        .formatted(mean, spoken(expected.getFirst(), exported, tokenizer));
    }

    /** KL(model || export). */
    private static double divergence(float[] own, float[] other) {
        double ownSum = logSum(own);
        double otherSum = logSum(other);
        double sum = 0;
        for (int i = 0; i < own.length; i++) {
            double log = own[i] - ownSum;
            sum += Math.exp(log) * (log - (other[i] - otherSum));
        }
        return sum;
    }

    private static double logSum(float[] logits) {
        double largest = logits[best(logits)];
        double sum = 0;
        for (float logit : logits) {
            sum += Math.exp(logit - largest);
        }
        return largest + Math.log(sum);
    }

    private static String parted(Answer answer, int at, int said, Tokenizer tokenizer) {
        int[] other = Arrays.copyOf(answer.tokens, at + 1);
        other[at] = said;
        return "the export answers otherwise: '%s' where the model says '%s'"
                .formatted(
                        line(tokenizer.decode(other, false)),
                        line(tokenizer.decode(answer.tokens, false)));
    }

    private static String spoken(Answer answer, CausalModel exported, Tokenizer tokenizer) {
        Answer other = answers(exported, List.of(answer.prompt), Set.of()).getFirst();
        return "it says '%s' where the model says '%s'"
                .formatted(
                        line(tokenizer.decode(other.tokens, false)),
                        line(tokenizer.decode(answer.tokens, false)));
    }

    private static String line(String text) {
        return text.replaceAll("\\s+", " ");
    }
}
