package org.qlora4j.autograd;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.BlockMask;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Which keys a query sees: those of its own sample that are not padding, at or before its own
 * position or all of them. Made once for a batch and shared by all layers; it keeps its pieces
 * until it is closed.
 */
public final class AttentionMask implements AutoCloseable {
    /** Queries of a block. */
    static final int BLOCK = 128;

    /** Scores of a block at most, unless one sequence alone has more: what caches hold. */
    private static final long MOST_SCORES = 2L << 20;

    private final int batch;
    private final int queries;
    private final int keys;
    private final int[] first; // [batch, queries]: the first key a query sees
    private final int[] end; // [batch, queries]: one past the last
    private final byte @Nullable [] visibleKeys;
    private final Map<BlockKey, List<AttentionBlock>> blocks = new HashMap<>();
    private final Map<Integer, BlockMask> whole = new HashMap<>(); // by window
    private final Map<BucketKey, Tensor> buckets = new HashMap<>();

    /**
     * Each row of the batch is one sequence.
     *
     * @param queries query positions, the last ones of the sequence
     * @param keys key positions, {@code queries} or more
     * @param visibleKeys [batch, keys]: 0 for padding; null if there is none
     */
    public AttentionMask(int batch, int queries, int keys, byte @Nullable [] visibleKeys) {
        this(batch, queries, keys, visibleKeys, true);
    }

    /**
     * Each row of the batch is one sequence, all of which every query sees, what follows it too.
     *
     * @param queries query positions, of this sequence or another
     * @param keys key positions
     * @param visibleKeys [batch, keys]: 0 for padding; null if there is none
     */
    public static AttentionMask whole(
            int batch, int queries, int keys, byte @Nullable [] visibleKeys) {
        return new AttentionMask(batch, queries, keys, visibleKeys, false);
    }

    private AttentionMask(
            int batch, int queries, int keys, byte @Nullable [] visibleKeys, boolean causal) {
        if (visibleKeys != null && visibleKeys.length != batch * keys) {
            throw new IllegalArgumentException(
                    "attention mask of %d entries for %d x %d keys"
                            .formatted(visibleKeys.length, batch, keys));
        }
        this.batch = batch;
        this.queries = queries;
        this.keys = keys;
        this.first = new int[batch * queries];
        this.end = new int[batch * queries];
        boolean holes = false;
        for (int b = 0; b < batch; b++) {
            int from = 0;
            int to = keys;
            if (visibleKeys != null) {
                while (from < keys && visibleKeys[b * keys + from] == 0) {
                    from++;
                }
                while (to > from && visibleKeys[b * keys + to - 1] == 0) {
                    to--;
                }
                for (int key = from; key < to; key++) {
                    holes |= visibleKeys[b * keys + key] == 0;
                }
            }
            for (int query = 0; query < queries; query++) {
                int last = causal ? Math.min(to, keys - queries + query + 1) : to;
                first[b * queries + query] = Math.min(from, last);
                end[b * queries + query] = last;
            }
        }
        this.visibleKeys = holes ? visibleKeys : null;
    }

    private AttentionMask(int batch, int time, int[] first, int[] end) {
        this.batch = batch;
        this.queries = time;
        this.keys = time;
        this.first = first;
        this.end = end;
        this.visibleKeys = null;
    }

    /**
     * Rows in which samples stand one after another and see nothing of each other; padding sees
     * nothing at all.
     *
     * @param starts [batch, time]: where in its row the sample of a place begins
     * @param real [batch, time]: false for padding
     */
    public static AttentionMask ofSamples(int batch, int time, int[] starts, boolean[] real) {
        int[] end = new int[batch * time];
        for (int i = 0; i < end.length; i++) {
            end[i] = real[i] ? i % time + 1 : starts[i];
        }
        return new AttentionMask(batch, time, starts.clone(), end);
    }

    public int batch() {
        return batch;
    }

    /** Throws unless q [batch, queries, …] and k [batch, keys, …] have the sizes of this mask. */
    void requireFit(Tensor q, Tensor k) {
        if (q.size(0) != batch || q.size(1) != queries || k.size(0) != batch || k.size(1) != keys) {
            throw new IllegalArgumentException(
                    "attention: queries %s and keys %s do not fit a mask of %d x %d queries and %d keys"
                            .formatted(q, k, batch, queries, keys));
        }
    }

    /** How many sequences a block takes at most, by their scores. */
    static long sequencesOfBlock(long heads, int rows, int keys) {
        return Math.max(1, MOST_SCORES / (heads * rows * Math.max(1, keys)));
    }

    /**
     * All queries in blocks of {@value #BLOCK}; sequences stand together in a block as long as they
     * see about the same keys and the scores are not too many.
     *
     * @param heads query heads of the attention
     * @param window positions that a query looks back over; 0 for all
     */
    List<AttentionBlock> blocks(long heads, int window) {
        return blocks.computeIfAbsent(new BlockKey(heads, window), this::makeBlocks);
    }

    /**
     * All queries and keys at once; this mask owns it.
     *
     * @param window as for {@link #blocks}
     */
    BlockMask rows(int window) {
        return whole.computeIfAbsent(window, this::makeRows);
    }

    private BlockMask makeRows(int window) {
        int[] from = new int[first.length];
        for (int i = 0; i < from.length; i++) {
            from[i] = Math.min(first(i, window), end[i]);
        }
        return new BlockMask(batch, queries, keys, from, end, visibleKeys);
    }

    private record BucketKey(
            boolean bothWays, int maxDistance, int row, int rows, int from, int keys) {}

    /** Buckets of a block's distances, I64 [rows * keys]; this mask owns them. */
    Tensor buckets(PositionBias bias, AttentionBlock block) {
        return buckets.computeIfAbsent(
                new BucketKey(
                        bias.bothWays(),
                        bias.maxDistance(),
                        block.row(),
                        block.rows(),
                        block.key(),
                        block.keys()),
                key -> {
                    int first = keys - queries + block.row(); // queries are the last positions
                    long[] of = bias.buckets(first, block.rows(), block.key(), block.keys());
                    try (TensorScope scope = TensorScope.open()) {
                        return TensorScope.release(Tensors.of(of, of.length));
                    }
                });
    }

    private record BlockKey(long heads, int window) {}

    /** The first key that a query sees. */
    private int first(int index, int window) {
        int own = keys - queries + index % queries;
        return window == 0 ? first[index] : Math.max(first[index], own - window + 1);
    }

    private List<AttentionBlock> makeBlocks(BlockKey key) {
        long heads = key.heads();
        int window = key.window();
        List<AttentionBlock> out = new ArrayList<>();
        for (int row = 0; row < queries; row += BLOCK) {
            int rows = Math.min(BLOCK, queries - row);
            for (int from = 0, to; from < batch; from = to) {
                Run run = runOf(from, row, rows, window);
                to = from + 1;
                while (to < batch) {
                    Run next = runOf(to, row, rows, window);
                    Run both = run.with(next);
                    if (both.keys() > Math.min(run.keys(), next.keys()) + BLOCK / 2
                            || to - from >= sequencesOfBlock(heads, rows, both.keys())) {
                        break;
                    }
                    run = both;
                    to++;
                }
                out.add(block(from, to - from, row, rows, run, window));
            }
        }
        return List.copyOf(out);
    }

    /** Keys [from, to). */
    private record Run(int from, int to) {
        int keys() {
            return to - from;
        }

        Run with(Run other) {
            if (keys() == 0 || other.keys() == 0) {
                return keys() == 0 ? other : this;
            }
            return new Run(Math.min(from, other.from), Math.max(to, other.to));
        }
    }

    /** The keys that some rows of a sequence see. */
    private Run runOf(int sequence, int row, int rows, int window) {
        Run run = new Run(0, 0);
        for (int i = sequence * queries + row; i < sequence * queries + row + rows; i++) {
            int from = first(i, window);
            run = end[i] > from ? run.with(new Run(from, end[i])) : run;
        }
        return run;
    }

    private AttentionBlock block(
            int sequence, int sequences, int row, int rows, Run run, int window) {
        int[] firstOfRow = new int[sequences * rows];
        int[] endOfRow = new int[sequences * rows];
        for (int s = 0; s < sequences; s++) {
            for (int r = 0; r < rows; r++) {
                int i = (sequence + s) * queries + row + r;
                int from = first(i, window);
                boolean any = end[i] > from;
                firstOfRow[s * rows + r] = any ? from - run.from : 0;
                endOfRow[s * rows + r] = any ? end[i] - run.from : 0;
            }
        }
        byte[] visible = null;
        if (visibleKeys != null) {
            visible = new byte[sequences * run.keys()];
            for (int s = 0; s < sequences; s++) {
                int start = (sequence + s) * keys + run.from;
                byte[] ofSequence = Arrays.copyOfRange(visibleKeys, start, start + run.keys());
                System.arraycopy(ofSequence, 0, visible, s * run.keys(), run.keys());
            }
        }
        return new AttentionBlock(
                sequence,
                sequences,
                row,
                rows,
                run.from,
                run.keys(),
                new BlockMask(sequences, rows, run.keys(), firstOfRow, endOfRow, visible));
    }

    @Override
    public void close() {
        blocks.values().forEach(list -> list.forEach(block -> block.mask().close()));
        blocks.clear();
        whole.values().forEach(BlockMask::close);
        whole.clear();
        buckets.values().forEach(Tensor::close);
        buckets.clear();
    }
}
