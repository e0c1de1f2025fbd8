package org.qlora4j;

import java.util.concurrent.Callable;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;
import org.qlora4j.generate.StopReason;
import org.qlora4j.tensor.Engine;

/**
 * An answer that a model is giving, or will give when calls before it have ended. Any thread may
 * cancel it; then {@link #await} returns what there is so far, and the next call begins.
 */
public final class PendingAnswer {
    private enum State {
        WAITING,
        BEGUN,
        GIVEN_UP
    }

    private static final Answer NOTHING = new Answer("", StopReason.CANCELLED, 0, 0, 0, 0);

    private final AtomicReference<State> state = new AtomicReference<>(State.WAITING);
    private volatile boolean cancelled;
    private @Nullable Future<Answer> answer;

    private PendingAnswer() {}

    /** How an answer is computed; it is to end soon once that is cancelled. */
    interface Work {
        Answer answer(PendingAnswer cancellable);
    }

    /** Has the engine thread give an answer; at once where this is the engine thread. */
    static PendingAnswer begin(Work work) {
        PendingAnswer pending = new PendingAnswer();
        Callable<Answer> call =
                () ->
                        pending.state.compareAndSet(State.WAITING, State.BEGUN)
                                ? work.answer(pending)
                                : NOTHING;
        pending.answer = Engine.submit(call);
        return pending;
    }

    /**
     * Ends the answer: at its next token, or at once where it has not begun. A second call changes
     * nothing.
     */
    public void cancel() {
        cancelled = true;
        state.compareAndSet(State.WAITING, State.GIVEN_UP);
    }

    /** Whether somebody wants it no more. */
    boolean isCancelled() {
        return cancelled;
    }

    /** Whether {@link #await} would return at once. */
    public boolean isDone() {
        return state.get() == State.GIVEN_UP || future().isDone();
    }

    /**
     * Waits for the end. Where the waiting thread is interrupted the answer is cancelled; the
     * thread stays interrupted.
     *
     * @return the answer; one that was cancelled has {@link StopReason#CANCELLED} and the text so
     *     far
     * @throws org.qlora4j.error.UserException if the prompt cannot be answered
     */
    public Answer await() {
        boolean interrupted = false;
        try {
            while (true) {
                if (state.get() == State.GIVEN_UP) {
                    return NOTHING;
                }
                try {
                    return Engine.result(future());
                } catch (InterruptedException e) {
                    interrupted = true;
                    cancel();
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private Future<Answer> future() {
        Future<Answer> begun = answer;
        if (begun == null) {
            throw new IllegalStateException("begin() sets it");
        }
        return begun;
    }
}
