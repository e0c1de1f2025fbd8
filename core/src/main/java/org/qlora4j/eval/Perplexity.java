package org.qlora4j.eval;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.qlora4j.data.DataConfig;
import org.qlora4j.data.Example;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.kernel.DeviceChoice;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.model.CausalModel;
import org.qlora4j.plan.RunInputs;
import org.qlora4j.plan.TrainingData;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.run.EvalMetrics;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tokenize.Tokenizer;
import org.qlora4j.train.Evaluation;

/** How well a model predicts texts it was not trained on. */
public final class Perplexity {
    /** Examples at once. */
    private static final int BATCH = 8;

    private Perplexity() {}

    /**
     * Sums over all examples.
     *
     * @param examples their number
     * @param tokens label tokens of this model's tokenizer
     * @param bytes of the label tokens' text in UTF-8, special tokens left out
     * @param nats sum of -log p over the label tokens
     */
    public record Result(int examples, long tokens, long bytes, double nats) {
        /** Mean number of equally likely tokens; comparable between models of one tokenizer. */
        public double perToken() {
            return Math.exp(nats / tokens);
        }

        /** Bits for each byte of the text; comparable between any models. */
        public double bitsPerByte() {
            return nats / Math.log(2) / bytes;
        }
    }

    /**
     * Reads a model and data and measures.
     *
     * @param path a folder in the layout of Hugging Face, or a {@code .gguf} file in one
     * @param data what is predicted: answers, or all tokens with {@code train_on_source}
     */
    public static Result measure(
            Path path, QuantConfig quantization, DataConfig data, DeviceChoice device) {
        return Engine.call(() -> {
            Kernels.select(device);
            DType compute = quantization.computeDtype().onThisMachine();
            ModelPlace place = ModelPlace.of(path);
            try (RunInputs inputs = RunInputs.load(place, data);
                    CausalModel model = Models.load(place, quantization, compute, false, null)) {
                return measure(model, inputs.tokenizer(), inputs.data());
            }
        });
    }

    private static Result measure(CausalModel model, Tokenizer tokenizer, TrainingData data) {
        long bytes = 0;
        for (Example example : data.train().examples()) {
            int[] labels =
                    example.labelled().stream()
                            .skip(example.labelled().get(0) ? 1 : 0)
                            .map(t -> example.ids()[t])
                            .toArray();
            bytes += tokenizer.decode(labels, true).getBytes(StandardCharsets.UTF_8).length;
        }
        EvalMetrics metrics =
                new Evaluation(model, data.train(), data.padId(), BATCH).measure(0, 0, () -> false);
        if (metrics == null) {
            throw new IllegalStateException("nobody cancels it");
        }
        long tokens = metrics.labelTokens();
        return new Result(data.train().examples().size(), tokens, bytes, metrics.loss() * tokens);
    }
}
