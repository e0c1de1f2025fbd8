package org.qlora4j.generate;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Workspace;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Context;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * What generation asks of a model: the logits behind a piece of a prompt, and behind one more id of
 * each of several texts. Model and head stay their owner's. Runs on the engine thread.
 */
public final class NextLogits implements AutoCloseable {
    /** Positions read at once: enough rows to keep the cores busy, and few enough to be small. */
    static final int CHUNK = 512;

    private static final int SCORED_AT_ONCE = 32;

    private final CausalModel model;
    private final InferenceHead head;
    private final Workspace workspace = new Workspace();

    public NextLogits(CausalModel model, InferenceHead head) {
        this.model = model;
        this.head = head;
        head.prepare();
    }

    CausalModel model() {
        return model;
    }

    /** Reads a prompt into the first row; logits of what follows it [vocabulary]. */
    public float[] prefill(int[] prompt, KeyValueCache cache) {
        return prefill(prompt, cache, CHUNK);
    }

    float[] prefill(int[] prompt, KeyValueCache cache, int chunk) {
        int from = 0;
        for (; prompt.length - from > chunk; from += chunk) {
            read(prompt, from, from + chunk, chunk, cache, 0, null);
        }
        return read(prompt, from, prompt.length, prompt.length - from, cache, 0, null);
    }

    /**
     * Reads a piece of a prompt behind those that its row holds.
     *
     * @param from first position of the piece, what the row holds
     * @param to position behind it
     * @param time ids given to the model, at least {@code to - from}: those behind the piece are 0
     *     and are not kept
     * @param scores takes the piece's tokens with their log-probabilities; null for none
     * @return logits of what follows [vocabulary] if it is the prompt's end, else nothing; not
     *     looked at
     */
    float[] read(
            int[] prompt,
            int from,
            int to,
            int time,
            KeyValueCache cache,
            int row,
            @Nullable Scores scores) {
        long[] ids = new long[time];
        for (int i = from; i < to; i++) {
            ids[i - from] = prompt[i];
        }
        try (TensorScope step = TensorScope.openSafetyNet();
                KeyValueCache.Piece piece = cache.fill(row, to - from);
                Tape tape = Tape.inference()) {
            Tensor input = tape.keep(Tensors.of(ids, 1, time));
            Tensor hidden = model.hidden(tape, input, piece, false).value();
            if (scores != null) {
                score(prompt, from, to, hidden, scores);
            }
            if (to < prompt.length) {
                return new float[0];
            }
            try (TensorScope scope = TensorScope.open()) {
                Tensor last = hidden.narrow(1, to - from - 1L, 1);
                return head.logits(last).toFloats();
            }
        }
    }

    /**
     * Log-probabilities of a prompt's tokens.
     *
     * @param top how many of the likeliest stand beside each
     * @param tokens so far; further ones are added
     */
    record Scores(int top, List<Token> tokens) {}

    /**
     * By the exact head, a few positions at once: logits of a whole prompt would not fit. Summed as
     * {@link TextScorer} sums, so that a server and {@code eval tasks} have one number.
     */
    private void score(int[] prompt, int from, int to, Tensor hidden, Scores scores) {
        if (from == 0) {
            scores.tokens.add(new Token(prompt[0], Double.NaN, List.of()));
        }
        int end = Math.min(to, prompt.length - 1); // behind it nothing of the prompt follows
        for (int at = from; at < end; at += SCORED_AT_ONCE) {
            int count = Math.min(SCORED_AT_ONCE, end - at);
            try (TensorScope scope = TensorScope.open()) {
                Tensor logits = model.logits(hidden.narrow(1, at - from, count));
                LogSums sums = new LogSums(logits);
                for (int i = 0; i < count; i++) {
                    float[] own = finite(logits.select(0, i).toFloats(), at + i);
                    Logprobs position = new Logprobs(own, sums.of(i));
                    scores.tokens.add(position.token(prompt[at + i + 1], scores.top));
                }
            }
        }
    }

    /** Reads one id behind those in the first row; logits of what follows it [vocabulary]. */
    public float[] next(int id, KeyValueCache cache) {
        return step(new long[] {id}, cache).getFirst();
    }

    /** Logits [vocabulary] of what follows each row's id; not looked at. */
    List<float[]> step(long[] ids, Context seen) {
        List<float[]> out = new ArrayList<>(ids.length);
        try (TensorScope step = TensorScope.openSafetyNet();
                Tape tape = Tape.inference(workspace)) {
            Tensor input = tape.keep(Tensors.of(ids, ids.length, 1));
            Tensor hidden = model.hidden(tape, input, seen, false).value();
            try (TensorScope scope = TensorScope.open()) {
                Tensor logits = head.logits(hidden); // [rows, vocabulary]
                for (int row = 0; row < ids.length; row++) {
                    out.add(logits.select(0, row).toFloats());
                }
            }
        }
        return out;
    }

    /**
     * The logits themselves, all of them numbers.
     *
     * @throws FormatException if one is not
     */
    static float[] finite(float[] logits, int position) {
        for (int id = 0; id < logits.length; id++) {
            if (!Float.isFinite(logits[id])) {
                throw FormatException.of(
                        "the model gives %s as the logit of token %d at position %d; its weights or"
                                + " its adapter are damaged, or too large for the compute dtype: try"
                                + " f32",
                        logits[id], id, position);
            }
        }
        return logits;
    }

    @Override
    public void close() {
        workspace.close();
    }
}
