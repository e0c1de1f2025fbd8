package org.qlora4j.train;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.qlora4j.metric.ClassScores;
import org.qlora4j.metric.Correlation;
import org.qlora4j.model.Task;

/** What a classifier said of texts so far, beside their labels. */
final class ClassTally {
    private final Task.Classify task;
    private final List<Integer> labels = new ArrayList<>();
    private final List<float[]> said = new ArrayList<>();

    ClassTally(Task.Classify task) {
        this.task = task;
    }

    /**
     * Adds a text.
     *
     * @param label its class; of a regression the bits of its number
     * @param logits what the model said of it
     */
    void add(int label, float[] logits) {
        labels.add(label);
        said.add(logits);
    }

    /** Accuracy, F1 and Matthews correlation of classes; of numbers their correlations. */
    Map<String, Double> scores() {
        if (!task.isRegression()) {
            return ClassScores.of(
                    labels.stream().mapToInt(Integer::intValue).toArray(),
                    said.stream().mapToInt(ClassTally::likeliest).toArray(),
                    task.classes());
        }
        double[] expected =
                labels.stream().mapToDouble(bits -> Float.intBitsToFloat(bits)).toArray();
        return Correlation.of(expected, said.stream().mapToDouble(one -> one[0]).toArray());
    }

    private static int likeliest(float[] logits) {
        int best = 0;
        for (int i = 1; i < logits.length; i++) {
            best = logits[i] > logits[best] ? i : best;
        }
        return best;
    }
}
