package org.qlora4j.app.serve;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.qlora4j.Answer;
import org.qlora4j.TextListener;
import org.qlora4j.TextRequest;
import org.qlora4j.TextService;
import org.qlora4j.generate.Token;

/**
 * The answers that one request asks for, told as they come to the thread that waits for them. What
 * has not ended when it is closed is cancelled.
 */
final class Choices implements AutoCloseable {
    /** Answers that one prompt may ask for. */
    static final int MOST = 128;

    private final BlockingQueue<Event> events = new LinkedBlockingQueue<>();
    private final List<TextService.Ticket> tickets = new ArrayList<>();
    private final long deadline;

    /** Something that happened to the answer of an index. */
    sealed interface Event {
        int index();

        /** The prompt's tokens, with their log-probabilities. */
        record Prompt(int index, List<Token> tokens) implements Event {}

        /** A token, and the text that is sure with it. */
        record Piece(int index, Token token, String text) implements Event {}

        /** The token that ends the text, and is none of it. */
        record EndToken(int index, Token token) implements Event {}

        /** The end, with text that was held back. */
        record End(int index, String rest, Answer answer) implements Event {}

        /** The end of what failed. */
        record Failed(int index, RuntimeException failure) implements Event {}
    }

    Choices(Duration timeout) {
        this.deadline = System.nanoTime() + timeout.toNanos();
    }

    /**
     * Refuses a request for more answers than are ever taken at once.
     *
     * @throws ApiError if it is one
     */
    static void requireRoom(TextService service, int answers) {
        if (answers > service.capacity()) {
            throw ApiError.of(
                    400,
                    "too_many_answers",
                    "the request asks for %d answers, and this server takes %d at once; ask for fewer, or serve with a larger --queue"
                            .formatted(answers, service.capacity()));
        }
    }

    /** Asks for a further answer, whose index is their number so far. */
    void begin(TextService service, TextRequest request) {
        int index = tickets.size();
        tickets.add(
                service.submit(
                        request,
                        new TextListener() {
                            @Override
                            public void prompt(List<Token> tokens) {
                                events.add(new Event.Prompt(index, tokens));
                            }

                            @Override
                            public void token(Token token, String text) {
                                events.add(new Event.Piece(index, token, text));
                            }

                            @Override
                            public void endToken(Token token) {
                                events.add(new Event.EndToken(index, token));
                            }

                            @Override
                            public void ended(String rest, Answer answer) {
                                events.add(new Event.End(index, rest, answer));
                            }

                            @Override
                            public void failed(RuntimeException failure) {
                                events.add(new Event.Failed(index, failure));
                            }
                        }));
    }

    int size() {
        return tickets.size();
    }

    /**
     * Waits for what happens next.
     *
     * @throws ApiError if the request's time is over
     */
    Event next() {
        try {
            Event event = events.poll(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
            if (event == null) {
                throw ApiError.of(
                        504, "timeout", "the request took longer than this server allows");
            }
            if (event instanceof Event.Failed(int index, RuntimeException failure)) {
                throw failure;
            }
            return event;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw ApiError.of(503, "shutting_down", "the server is about to end");
        }
    }

    @Override
    public void close() {
        tickets.forEach(TextService.Ticket::cancel);
    }
}
