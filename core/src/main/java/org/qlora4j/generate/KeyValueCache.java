package org.qlora4j.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Attention;
import org.qlora4j.autograd.AttentionMask;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.CachedAttention;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.error.ConfigException;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Context;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.Positions;
import org.qlora4j.model.SourceContext;
import org.qlora4j.model.Task;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * Keys and values of texts that are continued together, each in a row and of a length of its own. A
 * row begins with {@link #fill} or {@link #copy} and is free again after {@link #clear}. As a
 * context it takes one position for every row, and what it computes for a free row means nothing.
 * Each row grows as its text does. The owner closes it.
 */
public final class KeyValueCache implements SourceContext, AutoCloseable {
    private static final int NO_TEXT = -1;

    /** Positions that a row grows by at least. */
    private static final int MORE = 16;

    private final int[] lengths;
    private final int kvHeads;
    private final int headDim;
    private final DType dtype;
    private final KeyValueRows rows;
    private final @Nullable ReadSource[] sources; // by row; texts of one source share it

    /**
     * An empty cache of texts that are continued together, whatever their lengths.
     *
     * @throws ConfigException if the model continues no texts
     */
    public KeyValueCache(CausalModel model, int rows) {
        this(model.shape().facts(), rows, model.compute());
        if (model.shape().architecture().task() instanceof Task.Classify) {
            close();
            throw ConfigException.of(
                    "models of type %s classify texts and write none",
                    model.shape().facts().type());
        }
    }

    private KeyValueCache(ModelFacts facts, int rows, DType dtype) {
        this(facts.layers(), rows, facts.kvHeads(), facts.headDim(), dtype);
    }

    private KeyValueCache(int layers, int rows, int kvHeads, int headDim, DType dtype) {
        this.lengths = new int[rows];
        this.kvHeads = kvHeads;
        this.headDim = headDim;
        this.dtype = dtype;
        this.rows = new KeyValueRows(layers, rows, kvHeads, headDim, dtype);
        this.sources = new @Nullable ReadSource[rows];
        Arrays.fill(lengths, NO_TEXT);
    }

    /** Rows, free ones too. */
    public int rows() {
        return lengths.length;
    }

    /** Positions of a row's text; negative if it has none. */
    public int length(int row) {
        return lengths[row];
    }

    /** Makes room for texts of so many positions in every row. */
    public void reserve(int positions) {
        for (int row = 0; row < lengths.length; row++) {
            reserve(row, positions, Integer.MAX_VALUE);
        }
    }

    /**
     * Makes room for so many positions of a row.
     *
     * @param last positions that its text fills at most
     */
    void reserve(int row, int positions, int last) {
        if (positions > rows.capacity(row)) {
            rows.reserve(row, grown(row, positions, last));
        }
    }

    /** What a row has room for once it has grown: a bit more, so that it is copied a few times. */
    private int grown(int row, int positions, int last) {
        int held = rows.capacity(row);
        if (positions <= held) {
            return held;
        }
        long wanted = held == 0 ? positions : positions + Math.max(MORE, positions / 8L);
        return KeyValueRows.whole((int) Math.min(wanted, Math.max(positions, last)));
    }

    /** Bytes that the cache has at most beyond those of now, while it does {@link #reserve}. */
    long growth(int row, int positions, int last, CacheSize size) {
        int held = rows.capacity(row);
        int more = grown(row, positions, last) - held;
        return more == 0 ? 0 : more * size.position() + held * size.moving();
    }

    /** Frees what a free row still holds. */
    void drop(int row) {
        clear(row);
        rows.drop(row);
    }

    /** Positions that a row has room for. */
    int capacity(int row) {
        return rows.capacity(row);
    }

    /** Bytes of keys and values, and of sources as they are once they are all made. */
    long bytes() {
        return rows.bytes() + Arrays.stream(sources).distinct().mapToLong(this::bytes).sum();
    }

    private long bytes(@Nullable ReadSource source) {
        return source == null ? 0 : source.bytes();
    }

    /** Most bytes of keys and values at once so far. */
    long peakBytes() {
        return rows.peakBytes();
    }

    /** Has a free row's text answer a source, which the model's encoder reads here. */
    void readSource(CausalModel model, int row, int[] ids) {
        setSource(row, ReadSource.of(model, ids));
    }

    /** Gives a row a source, and frees the one it had unless another row has it too. */
    private void setSource(int row, @Nullable ReadSource source) {
        ReadSource before = sources[row];
        sources[row] = source;
        if (before != null && Arrays.stream(sources).noneMatch(s -> s == before)) {
            before.close();
        }
    }

    /**
     * A context that writes a text's first positions into a free row, or further ones behind them:
     * the model is then given the text alone, as a batch of one. The caller closes it.
     *
     * @param positions of the text; what the model is given behind them is not kept
     */
    public Piece fill(int row, int positions) {
        return new Piece(this, row, positions);
    }

    /** Gives a row the first positions of another's text. */
    public void copy(int from, int to, int positions) {
        rows.copy(from, to, positions);
        lengths[to] = positions;
        setSource(to, sources[from]);
    }

    /**
     * A context that takes one position for each of the first rows whose text goes on. What it
     * computes for another row means nothing, and its text stays as it is.
     *
     * @param goesOn by row, of at least {@code rows}
     */
    Context step(int rows, boolean[] goesOn) {
        return new Step(this, rows, goesOn);
    }

    /** Gives a free row a text's first positions again, which nothing has written over since. */
    void restore(int row, int positions) {
        lengths[row] = positions;
    }

    /** Changes the places of two rows, with what free ones still hold. */
    void exchange(int one, int other) {
        rows.exchange(one, other);
        ReadSource source = sources[one];
        sources[one] = sources[other];
        sources[other] = source;
        int length = lengths[one];
        lengths[one] = lengths[other];
        lengths[other] = length;
    }

    /** Forgets a row's positions from {@code newLength} on. */
    public void truncate(int row, int newLength) {
        lengths[row] = Math.min(lengths[row], newLength);
    }

    /** Forgets a row's text. */
    public void clear(int row) {
        lengths[row] = NO_TEXT;
        setSource(row, null);
    }

    @Override
    public Positions positions(int time) {
        return new Positions.Each(lengths, time);
    }

    @Override
    public Var attend(Tape tape, int layer, AttentionShape shape, Var q, Var k, Var v) {
        return shape.bias() == null
                ? CachedAttention.apply(
                        tape, q, k, v, rows.keys(layer), rows.values(layer), lengths, shape)
                : attendOneByOne(tape, layer, shape, q, k, v, lengths);
    }

    /** One position of each row, whose scores have a bias by distance: row after row. */
    private Var attendOneByOne(
            Tape tape, int layer, AttentionShape shape, Var q, Var k, Var v, int[] held) {
        List<Tensor> parts = new ArrayList<>();
        for (int row = 0; row < held.length; row++) {
            Var query = row(tape, q, row);
            int past = held[row];
            if (past < 0) { // means nothing
                parts.add(tape.keep(Tensors.zeros(dtype, 1, 1, (long) kvHeads * headDim)));
                continue;
            }
            Tensor newKeys = row(tape, k, row).value();
            Tensor newValues = row(tape, v, row).value();
            Tensor all = tape.keep(rows.withKeys(layer, row, past, newKeys));
            Tensor seen = tape.keep(rows.withValues(layer, row, past, newValues));
            write(layer, row, all, seen, past, past + 1);
            try (AttentionMask mask = new AttentionMask(1, 1, past + 1, null)) {
                Var out =
                        Attention.apply(
                                tape, query, tape.constant(all), tape.constant(seen), mask, shape);
                parts.add(out.value());
            }
        }
        return tape.constant(
                parts.size() == 1 ? parts.getFirst() : tape.keep(Tensors.cat(parts, 0)));
    }

    private static Var row(Tape tape, Var x, int row) {
        return tape.constant(tape.keep(x.value().narrow(0, row, 1)));
    }

    @Override
    public Var attendToSource(
            Tape tape, int layer, AttentionShape shape, Var q, Function<Var, Projected> make) {
        return attendToSources(tape, layer, shape, q, make, sources);
    }

    /** Rows of one source together, the others one after another; free rows get zeros. */
    private static Var attendToSources(
            Tape tape,
            int layer,
            AttentionShape shape,
            Var q,
            Function<Var, Projected> make,
            @Nullable ReadSource[] byRow) {
        Tensor all = q.value(); // [rows, time, heads, headDim]
        List<Tensor> parts = new ArrayList<>();
        int rows = (int) all.size(0);
        for (int from = 0; from < rows; ) {
            ReadSource source = byRow[from];
            int to = from + 1;
            while (to < rows && byRow[to] == source) {
                to++;
            }
            Tensor part = tape.keep(all.narrow(0, from, to - from));
            parts.add(
                    source == null
                            ? tape.keep(
                                    Tensors.zeros(
                                            all.dtype(),
                                            to - from,
                                            all.size(1),
                                            all.size(2) * all.size(3)))
                            : source.attend(tape, layer, shape, part, make));
            from = to;
        }
        return tape.constant(
                parts.size() == 1 ? parts.getFirst() : tape.keep(Tensors.cat(parts, 0)));
    }

    @Override
    public void advance(int time) {
        for (int row = 0; row < lengths.length; row++) {
            lengths[row] += lengths[row] < 0 ? 0 : time;
        }
    }

    @Override
    public void close() {
        for (int row = 0; row < sources.length; row++) {
            setSource(row, null);
        }
        rows.close();
    }

    /** See {@link #step}. */
    private static final class Step implements SourceContext {
        private final KeyValueCache cache;
        private final int[] lengths; // negative for a row that does not go on

        Step(KeyValueCache cache, int rows, boolean[] goesOn) {
            this.cache = cache;
            this.lengths = Arrays.copyOf(cache.lengths, rows);
            for (int row = 0; row < rows; row++) {
                lengths[row] = goesOn[row] ? lengths[row] : NO_TEXT;
            }
        }

        @Override
        public Positions positions(int time) {
            return new Positions.Each(lengths, time);
        }

        @Override
        public Var attend(Tape tape, int layer, AttentionShape shape, Var q, Var k, Var v) {
            if (shape.bias() != null) {
                return cache.attendOneByOne(tape, layer, shape, q, k, v, lengths);
            }
            return CachedAttention.apply(
                    tape,
                    q,
                    k,
                    v,
                    cache.rows.keys(layer),
                    cache.rows.values(layer),
                    lengths,
                    shape);
        }

        @Override
        public Var attendToSource(
                Tape tape, int layer, AttentionShape shape, Var q, Function<Var, Projected> make) {
            return attendToSources(tape, layer, shape, q, make, cache.sources);
        }

        @Override
        public void advance(int time) {
            for (int row = 0; row < lengths.length; row++) {
                cache.lengths[row] += lengths[row] < 0 ? 0 : time;
            }
        }
    }

    /** See {@link #fill}. */
    public static final class Piece implements SourceContext, AutoCloseable {
        private final KeyValueCache cache;
        private final int row;
        private final int positions;
        private @Nullable AttentionMask mask; // of all layers

        private Piece(KeyValueCache cache, int row, int positions) {
            this.cache = cache;
            this.row = row;
            this.positions = positions;
        }

        @Override
        public Positions positions(int time) {
            return new Positions.Run(cache.held(row), time);
        }

        @Override
        public Var attend(Tape tape, int layer, AttentionShape shape, Var q, Var k, Var v) {
            int past = cache.held(row);
            AttentionMask seen = mask(past, (int) q.value().size(1));
            if (past == 0) {
                cache.write(layer, row, k.value(), v.value(), 0, positions);
                return Attention.apply(tape, q, k, v, seen, shape);
            }
            Tensor keys = tape.keep(cache.rows.withKeys(layer, row, past, k.value()));
            Tensor values = tape.keep(cache.rows.withValues(layer, row, past, v.value()));
            cache.write(layer, row, keys, values, past, past + positions);
            return Attention.apply(
                    tape, q, tape.constant(keys), tape.constant(values), seen, shape);
        }

        @Override
        public Var attendToSource(
                Tape tape, int layer, AttentionShape shape, Var q, Function<Var, Projected> make) {
            @Nullable ReadSource[] own = {cache.sources[row]};
            return attendToSources(tape, layer, shape, q, make, own);
        }

        private AttentionMask mask(int past, int time) {
            AttentionMask made = mask;
            if (made == null) {
                made = new AttentionMask(1, time, past + time, null);
                mask = made;
            }
            return made;
        }

        @Override
        public void advance(int time) {
            cache.lengths[row] = cache.held(row) + positions;
        }

        @Override
        public void close() {
            if (mask != null) {
                mask.close();
            }
        }
    }

    private int held(int row) {
        return Math.max(0, lengths[row]);
    }

    private void write(int layer, int row, Tensor k, Tensor v, int held, int time) {
        reserve(row, time, Integer.MAX_VALUE);
        rows.write(layer, row, k, v, held, time);
    }
}
