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
        List<List<Text>> texts = new ArrayList<>();
        for (int i = 0;
                i < prompts.size();
                i++) { // all first: one that is too long is told at once
            String what = "prompt " + (i + 1);
            int[] ids = voice.ids(what, prompts.get(i));
            List<Text> own = new ArrayList<>();
            for (String label : labels.get(i)) {
                own.add(text(what, model, voice, ids, label));
            }
            texts.add(own);
        }
        for (int from = 0; from < texts.size(); from += PROMPTS_AT_ONCE) {
            int to = Math.min(texts.size(), from + PROMPTS_AT_ONCE);
            score(model, texts, from, to, onScore);
        }
    }

    private static void score(
            CausalModel model,
            List<List<Text>> texts,
            int from,
            int to,
            BiConsumer<Integer, OfPrompt> onScore) {
        List<Text> all = texts.subList(from, to).stream().flatMap(List::stream).toList();
        double[] logs = new double[all.size()];
        new TextScorer(model, TextScorer.TOKENS_AT_ONCE)
                .score(all, (i, score) -> logs[i] = score.sum());
        int at = 0;
        for (int prompt = from; prompt < to; prompt++) {
            List<Text> texted = texts.get(prompt);
            int end = at + texted.size();
            List<Double> own = Arrays.stream(logs, at, end).boxed().toList();
            onScore.accept(prompt, new OfPrompt(texted.getFirst().from(), own));
            at = end;
        }
    }

    private static Text text(
            String what, CausalModel model, Voice voice, int[] prompt, String label) {
        int[] tail = voice.tokenizer().encode(label, false);
        int[] all = Arrays.copyOf(prompt, prompt.length + tail.length);
        System.arraycopy(tail, 0, all, prompt.length, tail.length);
        if (all.length - 1 > model.maxPositions()) {
            throw ConfigException.of(
                    "%s has %d tokens, which leaves no room for a label in the model's context of %d; shorten the answers",
                    what, prompt.length, model.maxPositions());
        }
        return new Text(all, prompt.length);
    }
}
