package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The order of training: which examples stand in which micro-batch of which step. A pure function
 * of lengths, sizes and seed, so that a run resumes at any step without replaying those before it.
 * Epoch e shuffles with torch's generator seeded with {@code seed + e}, as Hugging Face's
 * accelerate does, so that Python can make the same order. Safe for several threads.
 */
public final class BatchSampler {
    /**
     * Batches of accumulated size that are sorted together at most (Hugging Face Trainer,
     * group_by_length).
     */
    private static final int MEGA_BATCH_LIMIT = 50;

    private final int[] lengths;
    private final boolean groupByLength;
    private final int rowLimit;
    private final int rows;
    private final int batchSize;
    private final int accumulation;
    private final long seed;
    private volatile Epoch cached;

    private record Epoch(int number, List<int[][]> batches) {}

    /**
     * @param lengths tokens of each example, see {@link TrainingSet#lengths()}; at least one
     *     example
     * @param groupByLength whether to batch by similar length; plain random order otherwise
     * @param batchSize rows in a micro-batch (per_device_train_batch_size), at least 1
     * @param accumulation micro-batches in a step (gradient_accumulation_steps), at least 1
     * @param seed data_seed, or the run's seed
     */
    public BatchSampler(
            int[] lengths, boolean groupByLength, int batchSize, int accumulation, long seed) {
        this(lengths, groupByLength, 0, batchSize, accumulation, seed);
    }

    /** Examples packed whole into rows, see {@link Packing}; rows come in random order. */
    public static BatchSampler packing(
            int[] lengths, int rowLimit, int batchSize, int accumulation, long seed) {
        if (rowLimit < 1) {
            throw new IllegalArgumentException("rows of %d tokens".formatted(rowLimit));
        }
        return new BatchSampler(lengths, false, rowLimit, batchSize, accumulation, seed);
    }

    private BatchSampler(
            int[] lengths,
            boolean groupByLength,
            int rowLimit,
            int batchSize,
            int accumulation,
            long seed) {
        if (lengths.length == 0 || batchSize < 1 || accumulation < 1) {
            throw new IllegalArgumentException(
                    "%d examples in batches of %d, %d to a step"
                            .formatted(lengths.length, batchSize, accumulation));
        }
        this.lengths = lengths.clone();
        this.groupByLength = groupByLength;
        this.rowLimit = rowLimit;
        this.batchSize = batchSize;
        this.accumulation = accumulation;
        this.seed = seed;
        int[][] firstRows = rowsOf(0);
        this.rows = firstRows.length;
        this.cached = new Epoch(0, batchesOf(firstRows));
    }

    /** Micro-batches in an epoch; the last may be short. */
    public int batchesPerEpoch() {
        return Math.ceilDiv(rows, batchSize);
    }

    /** Optimizer steps in an epoch; the last may have fewer micro-batches. */
    public int stepsPerEpoch() {
        return Math.ceilDiv(batchesPerEpoch(), accumulation);
    }

    /**
     * The micro-batches of an epoch, in order: [rows, places of the examples of a row]. Arrays are
     * shared and must not be changed.
     */
    public List<int[][]> batchesOf(int epoch) {
        Epoch known = cached;
        if (known.number != epoch) {
            known = new Epoch(epoch, batchesOf(rowsOf(epoch)));
            cached = known;
        }
        return known.batches;
    }

    /** The micro-batches of an optimizer step, counted over all epochs from 0. */
    public StepPlan stepAt(long step) {
        int epoch = Math.toIntExact(Math.floorDiv(step, (long) stepsPerEpoch()));
        List<int[][]> batches = batchesOf(epoch);
        int first = (int) (step % stepsPerEpoch()) * accumulation;
        int end = Math.min(batches.size(), first + accumulation);
        return new StepPlan(step, epoch, first, batches.subList(first, end));
    }

    /** Passes over the data once this step is done, with the part of the last one. */
    public double epochsAfter(StepPlan step) {
        return step.epoch()
                + (step.firstBatch() + step.batches().size()) / (double) batchesPerEpoch();
    }

    /** Rows of every epoch: one for each example, fewer if they are packed. */
    public int rows() {
        return rows;
    }

    /** The rows of an epoch, in order. */
    private int[][] rowsOf(int epoch) {
        TorchRandom random = new TorchRandom(seed + epoch);
        int[] order = random.permutation(lengths.length);
        if (rowLimit > 0) {
            int[][] packed = Packing.rows(lengths, order, rowLimit);
            int[][] shuffled = new int[packed.length][];
            int[] orderOfRows = random.permutation(packed.length);
            Arrays.setAll(shuffled, i -> packed[orderOfRows[i]]);
            return shuffled;
        }
        if (groupByLength) {
            groupByLength(order);
        }
        return Arrays.stream(order).mapToObj(place -> new int[] {place}).toArray(int[][]::new);
    }

    private List<int[][]> batchesOf(int[][] ofEpoch) {
        List<int[][]> batches = new ArrayList<>(batchesPerEpoch());
        for (int at = 0; at < ofEpoch.length; at += batchSize) {
            batches.add(Arrays.copyOfRange(ofEpoch, at, Math.min(ofEpoch.length, at + batchSize)));
        }
        return List.copyOf(batches);
    }

    /**
     * {@code get_length_grouped_indices} of transformers: the random order is cut into
     * mega-batches, each sorted longest first; then the longest example of all goes to the front,
     * so that memory runs out at once or never.
     */
    private void groupByLength(int[] order) {
        int perStep = Math.multiplyExact(batchSize, accumulation);
        int multiple = Math.clamp(order.length / (4L * perStep), 1, MEGA_BATCH_LIMIT);
        int mega = (int) Math.min(order.length, (long) multiple * perStep);
        int front = 0;
        for (int from = 0; from < order.length; from += mega) {
            sortByLength(order, from, Math.min(order.length, from + mega));
            if (lengths[order[from]] > lengths[order[front]]) {
                front = from;
            }
        }
        int longest = order[front];
        order[front] = order[0];
        order[0] = longest;
    }

    /** Sorts {@code order[from, to)} longest first; equal lengths keep their order. */
    private void sortByLength(int[] order, int from, int to) {
        long[] keys = new long[to - from];
        for (int i = 0; i < keys.length; i++) {
            keys[i] = ((long) -lengths[order[from + i]] << 32) | i;
        }
        Arrays.sort(keys);
        int[] before = Arrays.copyOfRange(order, from, to);
        for (int i = 0; i < keys.length; i++) {
            order[from + i] = before[(int) keys[i]];
        }
    }
}
