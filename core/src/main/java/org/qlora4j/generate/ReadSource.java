package org.qlora4j.generate;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Function;
import org.qlora4j.autograd.Attention;
import org.qlora4j.autograd.AttentionMask;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.SourceContext.Projected;
import org.qlora4j.model.Task;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * A source as the encoder has read it, for the texts that answer it; each layer's keys and values
 * are made once. The owner closes it.
 */
final class ReadSource implements AutoCloseable {
    private final Tensor hidden; // [1, time, hidden]
    private final long bytes;
    private final Map<Integer, Tensor[]> projected = new HashMap<>(); // keys and values by layer

    private ReadSource(Tensor hidden, long bytes) {
        this.hidden = hidden;
        this.bytes = bytes;
    }

    /**
     * Has the model's encoder read a source.
     *
     * @param ids at least one; an end-of-text token is put behind them unless they end in one
     */
    static ReadSource of(CausalModel model, int[] ids) {
        long[] whole = Arrays.stream(ended(model, ids)).asLongStream().toArray();
        byte[] visible = new byte[whole.length];
        Arrays.fill(visible, (byte) 1);
        try (TensorScope scope = TensorScope.openSafetyNet();
                BatchContext seen = BatchContext.whole(1, whole.length, visible);
                Tape tape = Tape.inference()) {
            Tensor input = tape.keep(Tensors.of(whole, 1, whole.length));
            Tensor hidden = tape.take(model.encode(tape, input, seen, false));
            return new ReadSource(hidden, whole.length * CacheSize.of(model).source());
        }
    }

    /** Bytes once keys and values of all layers are made. */
    long bytes() {
        return bytes;
    }

    /** Tokens of a source that an encoder reads; 0 for a model without one. */
    static int tokens(CausalModel model, int[] prompt) {
        return isFor(model) ? ended(model, prompt).length : 0;
    }

    /** Ids of a source with the end that sources have in training. */
    private static int[] ended(CausalModel model, int[] ids) {
        if (model.eosIds().isEmpty() || model.eosIds().contains(ids[ids.length - 1])) {
            return ids;
        }
        int[] ended = Arrays.copyOf(ids, ids.length + 1);
        ended[ids.length] = model.eosIds().iterator().next();
        return ended;
    }

    /**
     * What a model's decoder reads first.
     *
     * @param prompt what a decoder without a source reads
     */
    static int[] decoderPrompt(CausalModel model, int[] prompt) {
        return model.shape().architecture().task() instanceof Task.SequenceToSequence(int startId)
                ? new int[] {startId}
                : prompt;
    }

    /** Whether a model's decoder answers sources. */
    static boolean isFor(CausalModel model) {
        return model.shape().architecture().task() instanceof Task.SequenceToSequence;
    }

    /**
     * Attention of positions of texts that all answer this source.
     *
     * @param q [rows, time, heads, headDim]
     * @return [rows, time, heads * headDim]; the tape's
     */
    Tensor attend(
            Tape tape, int layer, AttentionShape shape, Tensor q, Function<Var, Projected> make) {
        Tensor[] held = projected.get(layer);
        if (held == null) {
            Projected made = make.apply(tape.constant(hidden));
            held = new Tensor[] {tape.take(made.keys()), tape.take(made.values())};
            projected.put(layer, held);
        }
        int queries = (int) (q.size(0) * q.size(1)); // each sees the whole source: one long row
        Tensor flat = tape.keep(q.reshape(1, queries, q.size(2), q.size(3)));
        try (AttentionMask mask = AttentionMask.whole(1, queries, (int) held[0].size(1), null)) {
            Var out =
                    Attention.apply(
                            tape,
                            tape.constant(flat),
                            tape.constant(held[0]),
                            tape.constant(held[1]),
                            mask,
                            shape);
            return tape.keep(out.value().view(q.size(0), q.size(1), q.size(2) * q.size(3)));
        }
    }

    @Override
    public void close() {
        hidden.close();
        projected
                .values()
                .forEach(pair -> {
                    pair[0].close();
                    pair[1].close();
                });
        projected.clear();
    }
}
