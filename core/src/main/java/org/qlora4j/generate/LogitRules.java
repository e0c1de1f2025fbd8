package org.qlora4j.generate;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What the settings change of a text's logits before a token is chosen, in the order of
 * transformers' logits processors: bias, penalties, sequences that may not come again or at all,
 * ends that come too early.
 */
final class LogitRules {
    private final GenerationConfig config;
    private final Set<Integer> ends;
    private final List<List<Integer>> badWords;
    private final int[] prompt;

    /**
     * @param ends ids that end the text
     */
    LogitRules(GenerationConfig config, int[] prompt, Set<Integer> ends) {
        this.config = config;
        this.prompt = prompt;
        this.ends = ends;
        this.badWords = // an end can be forbidden by minNewTokens alone
                config.badWordsIds().stream()
                        .filter(word -> word.size() > 1 || !ends.contains(word.getFirst()))
                        .toList();
    }

    /**
     * Changes the logits of what follows.
     *
     * @param tokens of the text so far, without the prompt
     */
    void apply(float[] logits, List<Integer> tokens) {
        config.logitBias()
                .forEach((id, bias) -> {
                    if (id >= 0 && id < logits.length) {
                        logits[id] += bias.floatValue();
                    }
                });
        penalize(logits, tokens);
        if (config.noRepeatNgramSize() > 0) {
            forbidRepeats(logits, tokens, config.noRepeatNgramSize());
        }
        for (List<Integer> word : badWords) {
            if (endsWith(tokens, word.subList(0, word.size() - 1))) {
                rule(logits, word.getLast());
            }
        }
        if (tokens.size() < config.minNewTokens()) {
            ends.forEach(id -> rule(logits, id));
        }
    }

    private void penalize(float[] logits, List<Integer> tokens) {
        if (config.repetitionPenalty() != 1) {
            float penalty = (float) config.repetitionPenalty();
            Set<Integer> seen = new HashSet<>(tokens);
            for (int id : prompt) {
                seen.add(id);
            }
            for (int id : seen) {
                if (id < logits.length) {
                    logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
                }
            }
        }
        if (config.presencePenalty() != 0 || config.frequencyPenalty() != 0) {
            Map<Integer, Integer> counts = new HashMap<>();
            tokens.forEach(id -> counts.merge(id, 1, Integer::sum));
            counts.forEach((id, count) ->
                    logits[id] -=
                            (float) (config.presencePenalty() + count * config.frequencyPenalty()));
        }
    }

    /** Rules out each token that would complete a sequence which is there already. */
    private void forbidRepeats(float[] logits, List<Integer> tokens, int size) {
        int length = prompt.length + tokens.size();
        for (int end = size - 1; end < length; end++) {
            boolean same = true;
            for (int back = 1; back < size && same; back++) {
                same = at(tokens, end - back) == at(tokens, length - back);
            }
            if (same) {
                rule(logits, at(tokens, end));
            }
        }
    }

    private boolean endsWith(List<Integer> tokens, List<Integer> end) {
        int length = prompt.length + tokens.size();
        if (end.size() > length) {
            return false;
        }
        for (int i = 0; i < end.size(); i++) {
            if (at(tokens, length - end.size() + i) != end.get(i)) {
                return false;
            }
        }
        return true;
    }

    private int at(List<Integer> tokens, int position) {
        return position < prompt.length ? prompt[position] : tokens.get(position - prompt.length);
    }

    private static void rule(float[] logits, int id) {
        if (id >= 0 && id < logits.length) {
            logits[id] = Float.NEGATIVE_INFINITY;
        }
    }
}
