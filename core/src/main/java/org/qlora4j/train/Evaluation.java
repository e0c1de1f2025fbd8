package org.qlora4j.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.EvalConfig;
import org.qlora4j.data.Batch;
import org.qlora4j.data.TrainingSet;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Task;
import org.qlora4j.plan.TrainingData;
import org.qlora4j.run.EvalMetrics;
import org.qlora4j.world.World;

/**
 * The loss on held-out examples: a mean over all their label tokens, so that neither batch size nor
 * order weigh. (The Hugging Face trainer averages the means of batches, which depends on both.)
 */
public final class Evaluation {
    private final CausalModel model;
    private final TrainingSet set;
    private final int padId;
    private final List<int[]> batches;
    private final Placement place;
    private final @Nullable Pipeline pipeline;

    /**
     * @param batchSize examples computed at once; those of similar length stand together
     */
    public Evaluation(CausalModel model, TrainingSet set, int padId, int batchSize) {
        this(model, set, padId, batchSize, Placement.ALONE, null);
    }

    /**
     * @param place among processes that share the batches; all come to the same numbers, which are
     *     those of one process
     * @param pipeline through the stages of the model; null where it is whole here
     */
    private Evaluation(
            CausalModel model,
            TrainingSet set,
            int padId,
            int batchSize,
            Placement place,
            @Nullable Pipeline pipeline) {
        this.place = place;
        this.pipeline = pipeline;
        this.model = model;
        this.set = set;
        this.padId = padId;
        this.batches = batches(set.lengths(), batchSize);
    }

    /** What the settings ask for; null where nothing is held out, or never looked at. */
    static @Nullable Evaluation of(
            EvalConfig config,
            CausalModel model,
            TrainingData data,
            Placement place,
            @Nullable Pipeline pipeline) {
        TrainingSet heldOut = data.eval();
        int batchSize = config.perDeviceEvalBatchSize();
        return heldOut == null || !config.enabled()
                ? null
                : new Evaluation(model, heldOut, data.padId(), batchSize, place, pipeline);
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
     * @return null if the run was cancelled meanwhile, in one process or another
     */
    public @Nullable EvalMetrics measure(long step, double epoch, BooleanSupplier cancelled) {
        long began = System.nanoTime();
        Task.@Nullable Classify task =
                model.shape().architecture().task() instanceof Task.Classify classify
                        ? classify
                        : null;
        EvalTable table = new EvalTable(batches, task);
        boolean givenUp = false;
        World world = place.world();
        for (int first = 0; first < batches.size(); first += place.groups()) {
            givenUp = place.ends(cancelled);
            if (givenUp) {
                break;
            }
            int i = first + place.group();
            if (i >= batches.size()) {
                continue;
            }
            Batch batch = set.batch(batches.get(i), padId, 1);
            if (pipeline != null) {
                double loss = pipeline.evaluate(batch);
                if (place.isLastStage()) {
                    table.put(i, batch.labelTokens(), loss);
                }
            } else if (task == null) {
                table.put(i, batch.labelTokens(), MicroBatch.evaluate(model, batch));
            } else {
                table.put(i, batch.labelTokens(), MicroBatch.classify(model, batch));
            }
        }
        if (world.any(givenUp)) {
            return null;
        }
        EvalTable all = table.summed(world);
        double seconds = (System.nanoTime() - began) / 1e9;
        return new EvalMetrics(
                step,
                epoch,
                all.loss() / all.labelTokens(),
                set.lengths().length,
                all.labelTokens(),
                all.scores(),
                false,
                seconds);
    }
}
