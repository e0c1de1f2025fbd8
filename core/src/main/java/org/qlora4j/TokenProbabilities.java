package org.qlora4j;

import java.util.ArrayList;
import java.util.List;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.TextScorer;
import org.qlora4j.generate.TextScorer.Text;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tokenize.Tokenizer;

/**
 * How likely a text's tokens are after those before them.
 *
 * @param tokens each as text, the tokens that the tokenizer adds among them
 * @param logProbabilities log p of each token in nats; NaN for the first, before which nothing
 *     stands
 */
public record TokenProbabilities(List<String> tokens, List<Float> logProbabilities) {
    public TokenProbabilities {
        tokens = List.copyOf(tokens);
        logProbabilities = List.copyOf(logProbabilities);
    }

    /** log p of the text after its first token. */
    public double sum() {
        return logProbabilities.stream().skip(1).mapToDouble(Float::doubleValue).sum();
    }

    static List<TokenProbabilities> of(CausalModel model, Tokenizer tokenizer, List<String> texts) {
        List<Text> all = new ArrayList<>();
        for (String text : texts) {
            String what = "text " + (all.size() + 1);
            int[] ids = tokenizer.encodeToContinue(what, text);
            if (ids.length < 2 || ids.length - 1 > model.maxPositions()) {
                throw ConfigException.of(
                        "%s has %d tokens; it must have 2 to %d",
                        what, ids.length, model.maxPositions() + 1);
            }
            all.add(new Text(ids, 1));
        }
        TokenProbabilities[] out = new TokenProbabilities[all.size()];
        new TextScorer(model, TextScorer.TOKENS_AT_ONCE)
                .score(
                        all,
                        (i, score) -> {
                            List<String> tokens = new ArrayList<>();
                            List<Float> logs = new ArrayList<>();
                            logs.add(Float.NaN);
                            for (int id : all.get(i).ids()) {
                                tokens.add(tokenizer.decode(new int[] {id}, false));
                            }
                            for (float log : score.logProbabilities()) {
                                logs.add(log);
                            }
                            out[i] = new TokenProbabilities(tokens, logs);
                        });
        return List.of(out);
    }
}
