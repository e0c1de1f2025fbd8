package org.qlora4j.generate;

import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Tape;
import org.qlora4j.error.ConfigException;
import org.qlora4j.lora.AdapterRows;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Reads a text in pieces and keeps the mean of its last hidden states. The model stays its owner's.
 * Runs on the engine thread.
 */
public final class MeanHidden implements AutoCloseable {
    private final CausalModel model;
    private final int[] ids;
    private final @Nullable LoraAdapter adapter;
    private final KeyValueCache cache;
    private final double[] sum;
    private int read;

    /**
     * @param adapter that computes; null for the model as it is
     * @throws org.qlora4j.error.ConfigException if the text is empty or too long
     * @throws org.qlora4j.error.FormatException if an id is none of the model's
     */
    public MeanHidden(CausalModel model, int[] ids, @Nullable LoraAdapter adapter) {
        Decoding.check(
                model, new Decoding.Request(ids, GenerationConfig.DEFAULT, adapter, token -> null));
        if (ReadSource.isFor(model)) {
            throw ConfigException.of(
                    "models of type %s answer a source: they have no states of a text alone",
                    model.shape().facts().type());
        }
        this.model = model;
        this.ids = ids;
        this.adapter = adapter;
        this.cache = new KeyValueCache(model, 1);
        cache.reserve(ids.length);
        this.sum = new double[Math.toIntExact(model.shape().facts().hiddenSize())];
    }

    /** Whether all is read. */
    public boolean isDone() {
        return read == ids.length;
    }

    /** Reads at most so many further positions. */
    public void read(int most) {
        int count = Math.min(Math.min(most, NextLogits.CHUNK), ids.length - read);
        long[] piece = new long[count];
        for (int i = 0; i < count; i++) {
            piece[i] = ids[read + i];
        }
        List<@Nullable LoraAdapter> own = Collections.singletonList(adapter);
        try (AdapterRows rows = AdapterRows.attach(model.linears(), own);
                TensorScope step = TensorScope.openSafetyNet();
                KeyValueCache.Piece seen = cache.fill(0, count);
                Tape tape = Tape.inference()) {
            Tensor input = tape.keep(Tensors.of(piece, 1, count));
            Tensor hidden = model.hidden(tape, input, seen, false).value();
            float[] values = hidden.toFloats();
            for (int i = 0; i < values.length; i++) {
                sum[i % sum.length] += values[i];
            }
        }
        read += count;
    }

    /** The mean over all positions. */
    public float[] mean() {
        float[] out = new float[sum.length];
        for (int i = 0; i < out.length; i++) {
            out[i] = (float) (sum[i] / ids.length);
        }
        return out;
    }

    @Override
    public void close() {
        cache.close();
    }
}
