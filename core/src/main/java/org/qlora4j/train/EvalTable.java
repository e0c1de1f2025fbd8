package org.qlora4j.train;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.model.Task;
import org.qlora4j.world.World;

/**
 * What an evaluation found, batch by batch. Each process fills the cells of its batches and leaves
 * zeros in the others, so that the sum over processes is the table of one process to the bit.
 */
final class EvalTable {
    private static final int HEAD = 2; // label tokens, loss

    private final List<int[]> batches;
    private final Task.@Nullable Classify task;
    private final int width; // a label and logits of an example
    private final int[] offsets; // of each batch, and the end
    private final double[] cells;

    /**
     * @param batches places of the examples of each
     * @param task of a model that classifies, which has a row of logits and a label an example
     */
    EvalTable(List<int[]> batches, Task.@Nullable Classify task) {
        this.batches = batches;
        this.task = task;
        this.width = task == null ? 0 : 1 + task.classes();
        this.offsets = new int[batches.size() + 1];
        for (int i = 0; i < batches.size(); i++) {
            offsets[i + 1] = offsets[i] + HEAD + width * batches.get(i).length;
        }
        this.cells = new double[offsets[batches.size()]];
    }

    private EvalTable(EvalTable layout, double[] cells) {
        this.batches = layout.batches;
        this.task = layout.task;
        this.width = layout.width;
        this.offsets = layout.offsets;
        this.cells = cells;
    }

    void put(int batch, int labelTokens, double loss) {
        cells[offsets[batch]] = labelTokens;
        cells[offsets[batch] + 1] = loss;
    }

    void put(int batch, int labelTokens, MicroBatch.Classified said) {
        put(batch, labelTokens, said.loss());
        int at = offsets[batch] + HEAD;
        for (int row = 0; row < said.labels().length; row++) {
            cells[at++] = said.labels()[row];
            for (float logit : said.logits()[row]) {
                cells[at++] = logit;
            }
        }
    }

    /** The table that all processes filled together. */
    EvalTable summed(World world) {
        return new EvalTable(this, world.sum(cells));
    }

    long labelTokens() {
        long sum = 0;
        for (int i = 0; i < batches.size(); i++) {
            sum += (long) cells[offsets[i]];
        }
        return sum;
    }

    double loss() {
        double sum = 0;
        for (int i = 0; i < batches.size(); i++) {
            sum += cells[offsets[i] + 1];
        }
        return sum;
    }

    /** Further figures of a model that classifies, by name; none of others. */
    Map<String, Double> scores() {
        if (task == null) {
            return Map.of();
        }
        ClassTally tally = new ClassTally(task);
        for (int i = 0; i < batches.size(); i++) {
            for (int at = offsets[i] + HEAD; at < offsets[i + 1]; at += width) {
                float[] logits = new float[width - 1];
                for (int j = 0; j < logits.length; j++) {
                    logits[j] = (float) cells[at + 1 + j];
                }
                tally.add((int) cells[at], logits);
            }
        }
        return tally.scores();
    }
}
