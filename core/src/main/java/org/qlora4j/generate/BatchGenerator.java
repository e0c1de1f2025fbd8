package org.qlora4j.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.BiConsumer;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Tape;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Context;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Continues many texts together: each step gives every text one token with one pass over the
 * weights, and a text that ends makes room for the next (continuous batching). The model stays its
 * owner's. Runs on the engine thread; between two generations it holds no native memory.
 *
 * <p>A text is a function of its prompt, its {@link GenerationConfig} and the number of rows, not
 * of the texts beside it: every step has the same shape, prompts are read one at a time, and each
 * text has a sampler of its own. The number of rows does matter to the last bits of the logits,
 * because libtorch sums products of another shape in another order.
 *
 * @see Generator for one text, as it comes
 */
public final class BatchGenerator {
    private static final int PADDING = 32;

    private final CausalModel model;
    private final Generator single;
    private final int rows;

    /**
     * @param rows texts at once, at least 1
     */
    public BatchGenerator(CausalModel model, int rows) {
        if (rows < 1) {
            throw new IllegalArgumentException("%d rows".formatted(rows));
        }
        this.model = model;
        this.single = new Generator(model);
        this.rows = rows;
    }

    /**
     * A text to continue.
     *
     * @param index what the caller knows it by
     * @param prompt ids, at least one, and fewer than the model's context holds
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Request(int index, int[] prompt, GenerationConfig config) {}

    /** A text under way. */
    private static final class Stream {
        final Request request;
        final int last;
        final float[] firstLogits; // of the prompt, for another text with the same
        final Sampler sampler;
        final List<Integer> tokens = new ArrayList<>();
        final long start;
        final long prefilled;

        Stream(Request request, int last, float[] firstLogits, long start) {
            this.request = request;
            this.last = last;
            this.firstLogits = firstLogits;
            this.sampler = Sampler.of(request.config());
            this.start = start;
            this.prefilled = System.nanoTime();
        }

        Generation end(StopReason reason) {
            return new Generation(
                    tokens,
                    reason,
                    request.prompt().length,
                    (prefilled - start) / 1e9,
                    (System.nanoTime() - prefilled) / 1e9);
        }
    }

    /**
     * Continues texts until there are none left.
     *
     * @param next gives the next text whenever a row is free; null if there is none, for now or for
     *     good: it is asked again as long as another text is under way
     * @param done takes each text at its end, in the order of their ends
     * @throws org.qlora4j.error.ConfigException if a prompt is empty or too long
     * @throws org.qlora4j.error.FormatException if an id is none of the model's, or the model gives
     *     logits that are not finite
     */
    public void generate(Supplier<@Nullable Request> next, BiConsumer<Request, Generation> done) {
        @Nullable Stream[] streams = new @Nullable Stream[rows];
        try (KeyValueCache cache = new KeyValueCache(model, rows)) {
            while (true) {
                for (int row = 0; row < rows; row++) {
                    while (streams[row] == null) {
                        Request request = next.get();
                        if (request == null) {
                            break;
                        }
                        Stream begun = begin(request, row, streams, cache);
                        take(begun, begun.firstLogits.clone());
                        streams[row] = begun;
                        endIfDone(row, streams, cache, done);
                    }
                }
                if (Arrays.stream(streams).allMatch(Objects::isNull)) {
                    return;
                }
                step(streams, cache);
                for (int row = 0; row < rows; row++) {
                    endIfDone(row, streams, cache, done);
                }
            }
        }
    }

    /** Reads a prompt into a row, or copies it from a row that began with the same. */
    private Stream begin(
            Request request, int row, @Nullable Stream[] streams, KeyValueCache cache) {
        long start = System.nanoTime();
        int[] prompt = request.prompt();
        int last = single.lastPosition(prompt, request.config());
        for (int other = 0; other < rows; other++) {
            Stream stream = streams[other];
            if (stream != null && Arrays.equals(stream.request.prompt(), prompt)) {
                cache.copy(other, row, prompt.length);
                return new Stream(request, last, stream.firstLogits, start);
            }
        }
        // few lengths, because libtorch prepares a product anew for each; what stands behind the
        // prompt is seen by nothing in it
        int padded = (prompt.length + PADDING - 1) / PADDING * PADDING;
        long[] ids = new long[Math.min(padded, model.maxPositions())];
        for (int i = 0; i < prompt.length; i++) {
            ids[i] = prompt[i];
        }
        int end = prompt.length - 1;
        try (KeyValueCache.Piece piece = cache.fill(row, prompt.length)) {
            float[] logits = logits(ids, 1, end, piece).getFirst();
            return new Stream(request, last, Generator.finite(logits, end), start);
        }
    }

    /** One token for every text. */
    private void step(@Nullable Stream[] streams, KeyValueCache cache) {
        long[] ids = new long[rows];
        int longest = 0;
        for (int row = 0; row < rows; row++) {
            Stream stream = streams[row];
            if (stream != null) {
                ids[row] = stream.tokens.getLast();
                longest = Math.max(longest, cache.length(row) + 1);
            }
        }
        cache.reserve(longest);
        List<float[]> logits = logits(ids, rows, 0, cache);
        // a row's softmax over the vocabulary takes a while: all cores share them
        IntStream.range(0, rows)
                .parallel()
                .forEach(row -> {
                    Stream stream = streams[row];
                    if (stream != null) {
                        float[] own = logits.get(row);
                        take(stream, Generator.finite(own, cache.length(row) - 1));
                    }
                });
    }

    /** Logits of what follows position {@code at} of each row's ids [batch, time]. */
    private List<float[]> logits(long[] ids, int batch, int at, Context seen) {
        int time = ids.length / batch;
        List<float[]> out = new ArrayList<>(batch);
        try (TensorScope step = TensorScope.openSafetyNet();
                Tape tape = Tape.inference()) {
            Tensor input = tape.keep(Tensors.of(ids, batch, time));
            Tensor hidden = model.hidden(tape, input, seen, false).value();
            try (TensorScope scope = TensorScope.open()) {
                Tensor logits = model.logits(hidden.narrow(1, at, 1)); // [batch, vocabulary]
                for (int row = 0; row < batch; row++) {
                    out.add(logits.select(0, row).toFloats());
                }
            }
        }
        return out;
    }

    private void take(Stream stream, float[] logits) {
        if (stream.tokens.size() < stream.request.config().minNewTokens()) {
            Generator.suppress(model.eosIds(), logits);
        }
        stream.tokens.add(stream.sampler.next(logits));
    }

    private void endIfDone(
            int row,
            @Nullable Stream[] streams,
            KeyValueCache cache,
            BiConsumer<Request, Generation> done) {
        Stream stream = streams[row];
        if (stream == null) {
            return;
        }
        StopReason reason = null;
        if (model.eosIds().contains(stream.tokens.getLast())) {
            reason = StopReason.END_OF_TEXT;
        } else if (stream.tokens.size() == stream.request.config().maxNewTokens()) {
            reason = StopReason.MAX_NEW_TOKENS;
        } else if (stream.request.prompt().length + stream.tokens.size() == stream.last) {
            reason = StopReason.CONTEXT_FULL;
        }
        if (reason != null) {
            streams[row] = null;
            cache.clear(row);
            done.accept(stream.request, stream.end(reason));
        }
    }
}
