package org.qlora4j.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.EvalConfig;
import org.qlora4j.data.Batch;
import org.qlora4j.data.TrainingSet;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Task;
import org.qlora4j.plan.TrainingData;
import org.qlora4j.run.EvalMetrics;

/**
 * The loss on held-out examples: a mean over all their label tokens, so that neither batch size nor
 * order weigh. (The Hugging Face trainer averages the means of batches, which depends on both.)
 */
public final class Evaluation {
    private final CausalModel model;
    private final TrainingSet set;
    private final int padId;
    private final List<int[]> batches;

    /**
     * @param batchSize examples computed at once; those of similar length stand together
     */
    public Evaluation(CausalModel model, TrainingSet set, int padId, int batchSize) {
        this.model = model;
        this.set = set;
        this.padId = padId;
        this.batches = batches(set.lengths(), batchSize);
    }

    /** What the settings ask for; null where nothing is held out, or never looked at. */
    static @Nullable Evaluation of(EvalConfig config, CausalModel model, TrainingData data) {
        TrainingSet heldOut = data.eval();
        return heldOut == null || !config.enabled()
                ? null
                : new Evaluation(model, heldOut, data.padId(), config.perDeviceEvalBatchSize());
    }

    /** Longest first, so that too little memory shows at once. */
    private static List<int[]> batches(int[] lengths, int size) {
        long[] keys = new long[lengths.length];
        for (int i = 0; i < keys.length; i++) {
            keys[i] = ((long) -lengths[i] << 32) | i;
        }
        Arrays.sort(keys);
        int[] order = Arrays.stream(keys).mapToInt(key -> (int) key).toArray();
        List<int[]> batches = new ArrayList<>();
        for (int at = 0; at < order.length; at += size) {
            batches.add(Arrays.copyOfRange(order, at, Math.min(order.length, at + size)));
        }
        return batches;
    }

    /**
     * Evaluates the model as it is.
     *
     * @param cancelled asked between two batches
     * @return null if the run was cancelled meanwhile
     */
    public @Nullable EvalMetrics measure(long step, double epoch, BooleanSupplier cancelled) {
        long began = System.nanoTime();
        double lossSum = 0;
        long labelTokens = 0;
        ClassTally classes =
                model.shape().architecture().task() instanceof Task.Classify task
                        ? new ClassTally(task)
                        : null;
        for (int[] places : batches) {
            if (cancelled.getAsBoolean()) {
                return null;
            }
            Batch batch = set.batch(places, padId, 1);
            labelTokens += batch.labelTokens();
            if (classes == null) {
                lossSum += MicroBatch.evaluate(model, batch);
            } else {
                MicroBatch.Classified said = MicroBatch.classify(model, batch);
                lossSum += said.loss();
                classes.add(said);
            }
        }
        double seconds = (System.nanoTime() - began) / 1e9;
        double loss = lossSum / labelTokens;
        return new EvalMetrics(
                step,
                epoch,
                loss,
                set.lengths().length,
                labelTokens,
                classes == null ? Map.of() : classes.scores(),
                false,
                seconds);
    }
}
