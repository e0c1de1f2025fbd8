package org.qlora4j;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.TextScorer;
import org.qlora4j.generate.TextScorer.Text;
import org.qlora4j.model.CausalModel;

/** Log-probabilities of labels behind prompts; what labels share is computed once. */
final class LabelScores {
    /** Prompts whose labels are scored before the first of them is told. */
    private static final int PROMPTS_AT_ONCE = 32;

    private LabelScores() {}

    /**
     * The labels of one prompt.
     *
     * @param promptTokens tokens of the prompt
     * @param logProbabilities of each label as a whole, in nats
     */
    record OfPrompt(int promptTokens, List<Double> logProbabilities) {}

    static void of(
            CausalModel model,
            Voice voice,
            List<Prompt> prompts,
            List<List<String>> labels,
            BiConsumer<Integer, OfPrompt> onScore) {
        List<int[]> ids = new ArrayList<>();
        for (Prompt prompt :
                prompts) { // all of them first: a prompt that is too long is told at once
            ids.add(voice.ids("prompt " + (ids.size() + 1), prompt));
        }
        for (int from = 0; from < ids.size(); from += PROMPTS_AT_ONCE) {
            int to = Math.min(ids.size(), from + PROMPTS_AT_ONCE);
            score(model, voice, ids, labels, from, to, onScore);
        }
    }

    private static void score(
            CausalModel model,
            Voice voice,
            List<int[]> ids,
            List<List<String>> labels,
            int from,
            int to,
            BiConsumer<Integer, OfPrompt> onScore) {
        List<Text> texts = new ArrayList<>();
        for (int prompt = from; prompt < to; prompt++) {
            for (String label : labels.get(prompt)) {
                texts.add(text(model, voice, ids.get(prompt), label));
            }
        }
        double[] logs = new double[texts.size()];
        new TextScorer(model, TextScorer.TOKENS_AT_ONCE)
                .score(texts, (i, score) -> logs[i] = score.sum());
        int at = 0;
        for (int prompt = from; prompt < to; prompt++) {
            int end = at + labels.get(prompt).size();
            List<Double> own = Arrays.stream(logs, at, end).boxed().toList();
            onScore.accept(prompt, new OfPrompt(ids.get(prompt).length, own));
            at = end;
        }
    }

    private static Text text(CausalModel model, Voice voice, int[] prompt, String label) {
        int[] tail = voice.tokenizer().encode(label, false);
        int[] all = Arrays.copyOf(prompt, prompt.length + tail.length);
        System.arraycopy(tail, 0, all, prompt.length, tail.length);
        if (all.length - 1 > model.maxPositions()) {
            throw ConfigException.of(
                    "a prompt of %d tokens leaves no room for a label in the model's context of %d",
                    prompt.length, model.maxPositions());
        }
        return new Text(all, prompt.length);
    }
}
