package org.qlora4j.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A text that a {@link Decoding} continues: it reads its prompt, then takes token after token. */
public final class Text {
    final Decoding.Request request;
    final int @Nullable [] source; // what the text answers, if an encoder reads that
    final int last; // positions that prompt and continuation fill at most
    final List<Integer> tokens = new ArrayList<>();
    final List<Token> promptTokens = new ArrayList<>(); // if their log-probabilities are wanted
    int[] toRead; // the prompt, or all but the newest token once it had to give way
    int read; // positions of that
    long order; // among the texts of a decoding
    boolean hasRoom; // whether its row has a store of keys and values
    float[] firstLogits = {}; // of the prompt, for another text with the same

    private final Sampler sampler;
    private final Set<Integer> ends;
    private final long start = System.nanoTime();
    private long prefilled;
    private @Nullable Token newest;
    private @Nullable Generation generation;
    private boolean failed;
    private volatile boolean cancelled;

    /**
     * @param request its prompt is what the decoder reads
     * @param source what the encoder reads; null where there is none
     * @param eosIds the model's
     */
    Text(Decoding.Request request, int @Nullable [] source, int last, Set<Integer> eosIds) {
        this.request = request;
        this.toRead = request.prompt();
        this.source = source;
        this.last = last;
        this.ends = new HashSet<>(eosIds);
        ends.addAll(request.config().stopTokenIds());
        this.sampler = new Sampler(request.config(), request.prompt(), ends, request.mask());
    }

    /** Asks for its end, from any thread; the next step finds it. */
    public void cancel() {
        cancelled = true;
    }

    boolean isCancelled() {
        return cancelled;
    }

    /** Whether the text has ended. */
    public boolean isDone() {
        return failed || generation != null;
    }

    /** What came of it, once it has ended. */
    public Generation generation() {
        Generation whole = generation;
        if (whole == null) {
            throw new IllegalStateException("the text has not ended well");
        }
        return whole;
    }

    /** The ids of its first positions, of prompt and continuation. */
    int[] held(int positions) {
        int[] prompt = request.prompt();
        int[] out = Arrays.copyOf(prompt, positions);
        for (int i = prompt.length; i < positions; i++) {
            out[i] = tokens.get(i - prompt.length);
        }
        return out;
    }

    boolean isReading() {
        return read < toRead.length;
    }

    /** Whether it has tokens already, and is read again. */
    boolean isResumed() {
        return !tokens.isEmpty();
    }

    /** Says that all is read. */
    void wasRead(float[] logits) {
        read = toRead.length;
        if (!isResumed()) {
            firstLogits = logits;
            prefilled = System.nanoTime();
        }
    }

    /** Loses its keys and values; what it has so far will be read again. */
    void giveWay() {
        hasRoom = false;
        read = 0;
        if (isResumed()) {
            toRead = held(request.prompt().length + tokens.size() - 1);
        } else {
            promptTokens.clear();
        }
    }

    /** Chooses a token; the logits are the text's to change. */
    void take(float[] logits) {
        Token token = sampler.next(logits, tokens);
        newest = token;
        tokens.add(token.id());
    }

    /** Tells the receiver the newest token; the reason of the end if there is one now. */
    @Nullable StopReason tell() {
        Token token = Objects.requireNonNull(newest, "a token was taken");
        StopReason wanted = request.receiver().token(token);
        if (ends.contains(token.id())) {
            return StopReason.END_OF_TEXT;
        }
        if (wanted != null) {
            return wanted;
        }
        if (tokens.size() == request.config().maxNewTokens()) {
            return StopReason.MAX_NEW_TOKENS;
        }
        return request.prompt().length + tokens.size() == last ? StopReason.CONTEXT_FULL : null;
    }

    /** Ends it without a result. */
    void fail(RuntimeException failure) {
        failed = true;
        request.receiver().failed(failure);
    }

    void end(StopReason reason) {
        long now = System.nanoTime();
        long whenRead = isReading() && !isResumed() ? now : prefilled;
        generation =
                new Generation(
                        tokens,
                        reason,
                        (source == null ? request.prompt() : source).length,
                        (whenRead - start) / 1e9,
                        (now - whenRead) / 1e9);
        request.receiver().ended(generation);
    }
}
