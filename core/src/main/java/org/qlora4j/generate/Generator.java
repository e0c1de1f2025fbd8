package org.qlora4j.generate;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.IntPredicate;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Workspace;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.InferenceHead;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Continues a text: reads the prompt in chunks, then generates token by token on a key-value cache
 * that was allocated before. The model stays its owner's. Runs on the engine thread; between two
 * generations it holds no native memory.
 */
public final class Generator {
    /** Positions read at once: enough rows to keep the cores busy, and few enough to be small. */
    static final int CHUNK = 512;

    private final CausalModel model;
    private final int chunk;

    public Generator(CausalModel model) {
        this(model, CHUNK);
    }

    Generator(CausalModel model, int chunk) {
        this.model = model;
        this.chunk = chunk;
    }

    /**
     * Generates until one of the {@link StopReason}s.
     *
     * @param prompt ids, at least one, and fewer than the model's context holds
     * @param onToken takes each id at once, an end-of-text id too; false ends the text
     * @throws ConfigException if the prompt is empty or too long
     * @throws FormatException if an id is none of the model's, or the model gives logits that are
     *     not finite
     */
    public Generation generate(int[] prompt, GenerationConfig config, IntPredicate onToken) {
        int last = lastPosition(prompt, config);
        Sampler sampler = Sampler.of(config);
        List<Integer> tokens = new ArrayList<>();
        long start = System.nanoTime();
        try (KeyValueCache cache = new KeyValueCache(model, 1);
                Workspace workspace = new Workspace()) {
            cache.reserve(last);
            float[] logits = prefill(prompt, cache);
            long prefilled = System.nanoTime();
            while (true) {
                if (tokens.size() < config.minNewTokens()) {
                    suppress(model.eosIds(), logits);
                }
                int token = sampler.next(logits);
                tokens.add(token);
                boolean goOn = onToken.test(token);
                StopReason reason = null;
                if (model.eosIds().contains(token)) {
                    reason = StopReason.END_OF_TEXT;
                } else if (!goOn) {
                    reason = StopReason.CANCELLED;
                } else if (tokens.size() == config.maxNewTokens()) {
                    reason = StopReason.MAX_NEW_TOKENS;
                } else if (prompt.length + tokens.size() == last) {
                    reason = StopReason.CONTEXT_FULL;
                }
                if (reason != null) {
                    return new Generation(
                            tokens,
                            reason,
                            prompt.length,
                            (prefilled - start) / 1e9,
                            (System.nanoTime() - prefilled) / 1e9);
                }
                logits = next(token, cache, workspace);
            }
        }
    }

    /** Positions that prompt and continuation fill at most, once the prompt is checked. */
    int lastPosition(int[] prompt, GenerationConfig config) {
        if (prompt.length == 0) {
            throw new ConfigException("the prompt is empty; give at least one token");
        }
        if (prompt.length >= model.maxPositions()) {
            throw ConfigException.of(
                    "the prompt of %d tokens leaves no room for an answer in the model's context of"
                            + " %d; shorten it",
                    prompt.length, model.maxPositions());
        }
        for (int id : prompt) {
            if (id < 0 || id >= model.vocabularySize()) {
                throw FormatException.of(
                        "the prompt holds token id %d, the model has ids 0 to %d; is tokenizer.json"
                                + " the one that came with the model?",
                        id, model.vocabularySize() - 1);
            }
        }
        return (int) Math.min(model.maxPositions(), (long) prompt.length + config.maxNewTokens());
    }

    /** Reads a prompt; logits of what follows it [vocabulary]. */
    public float[] prefill(int[] prompt, KeyValueCache cache) {
        float[] logits = {};
        for (int from = 0; from < prompt.length; from += chunk) {
            long[] ids = new long[Math.min(chunk, prompt.length - from)];
            for (int i = 0; i < ids.length; i++) {
                ids[i] = prompt[from + i];
            }
            boolean end = from + ids.length == prompt.length;
            logits = first(ids, cache, end);
        }
        return logits;
    }

    /** Reads one id behind those in the cache; logits of what follows it [vocabulary]. */
    public float[] next(int id, KeyValueCache cache, Workspace workspace) {
        int position = cache.length(0);
        try (TensorScope step = TensorScope.openSafetyNet();
                Tape tape = Tape.inference(workspace)) {
            Tensor input = tape.keep(Tensors.of(new long[] {id}, 1, 1));
            Tensor hidden = model.hidden(tape, input, cache, false).value();
            try (TensorScope row = TensorScope.open()) {
                return finite(model.inferenceHead().logits(model, hidden).toFloats(), position);
            }
        }
    }

    /** Reads a piece of a prompt; logits of what follows it if it is the end, else nothing. */
    private float[] first(long[] ids, KeyValueCache cache, boolean end) {
        int keys = Math.max(0, cache.length(0)) + ids.length;
        try (TensorScope step = TensorScope.openSafetyNet();
                KeyValueCache.Piece piece = cache.fill(0, ids.length);
                Tape tape = Tape.inference()) {
            Tensor input = tape.keep(Tensors.of(ids, 1, ids.length));
            Tensor hidden = model.hidden(tape, input, piece, false).value();
            if (!end) {
                return new float[0];
            }
            try (TensorScope row = TensorScope.open()) {
                InferenceHead head = model.inferenceHead();
                head.judge(model, hidden);
                Tensor last = hidden.narrow(1, ids.length - 1, 1);
                return finite(head.logits(model, last).toFloats(), keys - 1);
            }
        }
    }

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

    static void suppress(Set<Integer> ids, float[] logits) {
        for (int id : ids) {
            if (id >= 0 && id < logits.length) {
                logits[id] = Float.NEGATIVE_INFINITY;
            }
        }
    }
}
