package org.qlora4j;

import java.util.List;
import java.util.Set;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ServedAdapters.Served;
import org.qlora4j.generate.Decoding;
import org.qlora4j.generate.Generation;
import org.qlora4j.generate.Receiver;
import org.qlora4j.generate.StopReason;
import org.qlora4j.generate.Text;
import org.qlora4j.generate.TextOutput;
import org.qlora4j.generate.Token;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.tokenize.Tokenizer;

/**
 * A request from its beginning to its end: waits, is continued as a {@link Text}, and tells its
 * listener. A listener that throws cancels it.
 */
final class AnswerUnderWay implements Receiver, TextService.Ticket {
    private final Decoding.Request request;
    private final @Nullable Served served;
    private final Set<Integer> eosIds;
    private final TextOutput output;
    private final StringBuilder whole = new StringBuilder();
    private final TextListener listener;
    private final BiConsumer<AnswerUnderWay, @Nullable Answer> atEnd;
    private volatile @Nullable Text text;
    private @Nullable LoraAdapter weights;
    private @Nullable RuntimeException unreadable;
    private boolean done;
    private volatile boolean cancelled;

    /**
     * @param request without weights of an adapter
     * @param served the adapter that answers; null for the base model
     * @param atEnd takes the answer once, when it has ended; null if it failed
     */
    AnswerUnderWay(
            Decoding.Request request,
            @Nullable Served served,
            Tokenizer tokenizer,
            Set<Integer> eosIds,
            TextListener listener,
            BiConsumer<AnswerUnderWay, @Nullable Answer> atEnd) {
        this.request = request;
        this.served = served;
        this.eosIds = eosIds;
        this.output = new TextOutput(tokenizer.stream(true), request.config().stopStrings());
        this.listener = listener;
        this.atEnd = atEnd;
    }

    @Nullable Served served() {
        return served;
    }

    /** Whether weights of an adapter stay for it. */
    boolean isPinned() {
        return weights != null;
    }

    /**
     * Has the weights of its adapter stay, on the engine thread. One that cannot be read again ends
     * it when it begins.
     *
     * @return whether there was room for them, or none are needed
     */
    boolean pin(ServedAdapters adapters) {
        if (served == null || cancelled) {
            return true;
        }
        try {
            weights = adapters.pin(served);
            return weights != null;
        } catch (RuntimeException e) {
            unreadable = e;
            return true;
        }
    }

    /** Begins, on the engine thread; false if it has ended thereby. */
    boolean begin(Decoding decoding) {
        if (cancelled) {
            ended(new Generation(List.of(), StopReason.CANCELLED, request.prompt().length, 0, 0));
            return false;
        }
        if (unreadable != null) {
            failed(unreadable);
            return false;
        }
        try {
            text =
                    decoding.begin(
                            new Decoding.Request(
                                    request.prompt(),
                                    request.config(),
                                    weights,
                                    request.mask(),
                                    this));
            return true;
        } catch (RuntimeException e) {
            failed(e);
            return false;
        }
    }

    boolean isDone() {
        return done;
    }

    @Override
    public void cancel() {
        cancelled = true;
        Text begun = text;
        if (begun != null) {
            begun.cancel();
        }
    }

    @Override
    public int promptTokens() {
        return request.prompt().length;
    }

    @Override
    public void promptRead(List<Token> tokens) {
        tell(() -> listener.prompt(tokens));
    }

    @Override
    public @Nullable StopReason token(Token token) {
        boolean end =
                eosIds.contains(token.id()) || request.config().stopTokenIds().contains(token.id());
        if (end) {
            tell(() -> listener.endToken(token));
        } else {
            String piece = output.push(token.id());
            whole.append(piece);
            tell(() -> listener.token(token, piece));
        }
        return output.isStopped()
                ? StopReason.STOP_STRING
                : cancelled ? StopReason.CANCELLED : null;
    }

    @Override
    public void ended(Generation generation) {
        if (done) {
            return;
        }
        done = true;
        String rest = output.finish();
        whole.append(rest);
        Answer answer =
                new Answer(
                        whole.toString(),
                        generation.stopReason(),
                        generation.promptTokens(),
                        generation.tokens().size(),
                        generation.prefillSeconds(),
                        generation.decodeSeconds());
        atEnd.accept(this, answer);
        tell(() -> listener.ended(rest, answer));
    }

    @Override
    public void failed(RuntimeException failure) {
        if (done) {
            return;
        }
        done = true;
        atEnd.accept(this, null);
        tell(() -> listener.failed(failure));
    }

    private void tell(Runnable call) {
        try {
            call.run();
        } catch (RuntimeException e) {
            cancel();
        }
    }
}
