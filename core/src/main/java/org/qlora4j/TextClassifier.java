package org.qlora4j;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Tape;
import org.qlora4j.data.ClassInput;
import org.qlora4j.error.ConfigException;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Task;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.tokenize.Tokenizer;

/** Asks a model for the class of one text; on the engine thread. */
final class TextClassifier {
    private TextClassifier() {}

    /**
     * The model's task.
     *
     * @throws ConfigException if it does not classify
     */
    static Task.Classify task(CausalModel model) {
        if (model.shape().architecture().task() instanceof Task.Classify task) {
            return task;
        }
        throw ConfigException.of(
                "models of type %s write texts and classify none; RoBERTa does",
                model.shape().facts().type());
    }

    static Classification classify(
            CausalModel model, Tokenizer tokenizer, String text, @Nullable String pair) {
        Task.Classify task = task(model);
        int eos = tokenizer.eosId().orElseGet(() -> model.eosIds().iterator().next());
        int[] ids = new ClassInput(tokenizer, eos, false).ids(text, pair);
        if (ids.length > model.maxPositions()) {
            throw ConfigException.of(
                    "the text has %d tokens, the model reads %d; shorten it",
                    ids.length, model.maxPositions());
        }
        float[] logits = logits(model, ids);
        return task.isRegression()
                ? new Classification("", logits[0], Map.of())
                : likeliest(task, logits);
    }

    private static float[] logits(CausalModel model, int[] ids) {
        byte[] visible = new byte[ids.length];
        Arrays.fill(visible, (byte) 1);
        long[] wide = Arrays.stream(ids).asLongStream().toArray();
        try (TensorScope step = TensorScope.openSafetyNet();
                BatchContext seen = BatchContext.whole(1, ids.length, visible);
                Tape tape = Tape.inference()) {
            Tensor input = tape.keep(Tensors.of(wide, 1, wide.length));
            Tensor hidden = model.hidden(tape, input, seen, false).value();
            try (TensorScope scope = TensorScope.open()) {
                return model.logits(hidden).toFloats();
            }
        }
    }

    private static Classification likeliest(Task.Classify task, float[] logits) {
        double most = Float.NEGATIVE_INFINITY;
        for (float logit : logits) {
            most = Math.max(most, logit);
        }
        double sum = 0;
        for (float logit : logits) {
            sum += Math.exp(logit - most);
        }
        Map<String, Double> probabilities = new LinkedHashMap<>();
        String best = "";
        for (int i = 0; i < logits.length; i++) {
            String name = task.name(i);
            probabilities.put(name, Math.exp(logits[i] - most) / sum);
            best = best.isEmpty() && logits[i] == most ? name : best;
        }
        return new Classification(best, probabilities.getOrDefault(best, 0.0), probabilities);
    }
}
