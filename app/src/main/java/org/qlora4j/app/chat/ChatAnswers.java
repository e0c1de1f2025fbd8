package org.qlora4j.app.chat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Answer;
import org.qlora4j.Prompt;
import org.qlora4j.TextListener;
import org.qlora4j.TextRequest;
import org.qlora4j.TextService;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Token;

/** Answers that come together, told on the thread that waits for them. */
final class ChatAnswers implements AutoCloseable {
    private final BlockingQueue<Event> events = new LinkedBlockingQueue<>();
    private final List<TextService.Ticket> tickets = new ArrayList<>();
    private volatile boolean cancelled;

    /** Text of the answer with a number, its end, or why it has none. */
    private record Event(
            int side, String text, @Nullable Answer end, @Nullable RuntimeException failure) {}

    /** Takes a piece of the answer with a number, from 0 in the order of asking. */
    interface OnText {
        void take(int side, String piece);
    }

    /** Takes the end of the answer with a number. */
    interface OnEnd {
        void take(int side, Answer answer);
    }

    /**
     * Asks for one more answer.
     *
     * @param adapter that gives it; null for the base
     */
    void ask(
            TextService service,
            @Nullable String adapter,
            List<Map<String, Object>> chat,
            GenerationConfig config) {
        int side = tickets.size();
        TextListener listener =
                new TextListener() {
                    @Override
                    public void token(Token token, String text) {
                        events.add(new Event(side, text, null, null));
                    }

                    @Override
                    public void ended(String rest, Answer answer) {
                        events.add(new Event(side, rest, answer, null));
                    }

                    @Override
                    public void failed(RuntimeException failure) {
                        events.add(new Event(side, "", null, failure));
                    }
                };
        tickets.add(
                service.submit(new TextRequest(adapter, new Prompt.Chat(chat), config), listener));
    }

    /**
     * Waits until all have ended.
     *
     * @throws RuntimeException what one of them failed with
     */
    void await(OnText onText, OnEnd onEnd) {
        if (cancelled) {
            cancel(); // it came between asking and waiting
        }
        for (int left = tickets.size(); left > 0; ) {
            Event event = next();
            if (event.failure() != null) {
                throw event.failure();
            }
            if (!event.text().isEmpty()) {
                onText.take(event.side(), event.text());
            }
            if (event.end() != null) {
                onEnd.take(event.side(), event.end());
                left--;
            }
        }
    }

    private Event next() {
        while (true) {
            try {
                return events.take();
            } catch (InterruptedException e) {
                cancel(); // the end comes all the same
            }
        }
    }

    /** Ends them as they stand, from any thread. */
    void cancel() {
        cancelled = true;
        List.copyOf(tickets).forEach(TextService.Ticket::cancel);
    }

    @Override
    public void close() {
        cancel();
    }
}
