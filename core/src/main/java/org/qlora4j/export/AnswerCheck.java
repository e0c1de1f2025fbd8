package org.qlora4j.export;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.generate.InferenceHead;
import org.qlora4j.generate.KeyValueCache;
import org.qlora4j.generate.NextLogits;
import org.qlora4j.model.CausalModel;
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
            int most = Math.min(TOKENS, model.maxPositions() - prompt.length);
            int[] tokens = new int[TOKENS];
            List<float[]> logits =
                    along(
                            model,
                            prompt,
                            (count, last) -> {
                                tokens[count - 1] = best(last);
                                return count == most || stops.contains(tokens[count - 1])
                                        ? OptionalInt.empty()
                                        : OptionalInt.of(tokens[count - 1]);
                            });
            out.add(
                    new Answer(
                            prompt,
                            Arrays.copyOf(tokens, logits.size()),
                            logits.toArray(float[][]::new)));
        }
        return out;
    }

    /** Says what follows, given how many logits there are and the last of them; nothing ends. */
    private interface Next {
        OptionalInt token(int count, float[] last);
    }

    /** Logits behind a prompt, and behind each token that follows it. */
    private static List<float[]> along(CausalModel model, int[] prompt, Next next) {
        List<float[]> out = new ArrayList<>();
        if (prompt.length == 0 || prompt.length >= model.maxPositions()) {
            return out;
        }
        try (KeyValueCache cache = new KeyValueCache(model, 1);
                NextLogits steps = new NextLogits(model, InferenceHead.exact(model))) {
            cache.reserve(prompt.length + TOKENS);
            out.add(steps.prefill(prompt, cache));
            OptionalInt token = next.token(1, out.getLast());
            while (token.isPresent()) {
                out.add(steps.next(token.getAsInt(), cache));
                token = next.token(out.size(), out.getLast());
            }
        }
        return out;
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
            List<float[]> logits =
                    along(
                            exported,
                            answer.prompt,
                            (count, _) ->
                                    count < answer.tokens.length
                                            ? OptionalInt.of(answer.tokens[count - 1])
                                            : OptionalInt.empty());
            for (int i = 0; i < logits.size(); i++) {
                divergence += divergence(answer.logits[i], logits.get(i));
                tokens++;
                int said = best(logits.get(i));
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
