package org.qlora4j.study;

import java.util.ArrayList;
import java.util.List;
import org.qlora4j.data.Example;
import org.qlora4j.data.TrainingSet;
import org.qlora4j.generate.TextScorer;
import org.qlora4j.model.CausalModel;
import org.qlora4j.plan.TrainingData;

/** Held-out texts, as log-probability of what is predicted and how many tokens that is. */
final class HeldOutTexts {
    private HeldOutTexts() {}

    /**
     * Scores the held-out examples, or all where none are held out. On the engine thread.
     *
     * @return for each example log-probability in nats and tokens
     */
    static List<double[]> score(CausalModel model, TrainingData data) {
        TrainingSet held = data.eval();
        TrainingSet set = held == null ? data.train() : held;
        List<Example> examples =
                set.examples().stream().filter(e -> e.labelled().nextSetBit(1) >= 0).toList();
        List<TextScorer.Text> texts = new ArrayList<>();
        for (Example example : examples) {
            texts.add(new TextScorer.Text(example.ids(), example.labelled().nextSetBit(1)));
        }
        double[][] out = new double[texts.size()][];
        new TextScorer(model, TextScorer.TOKENS_AT_ONCE)
                .score(
                        texts,
                        (index, score) -> {
                            Example example = examples.get(index);
                            int from = texts.get(index).from();
                            double sum = 0;
                            int tokens = 0;
                            for (int t = from; t < example.length(); t++) {
                                if (example.labelled().get(t)) {
                                    sum += score.logProbabilities()[t - from];
                                    tokens++;
                                }
                            }
                            out[index] = new double[] {sum, tokens};
                        });
        return List.of(out);
    }
}
