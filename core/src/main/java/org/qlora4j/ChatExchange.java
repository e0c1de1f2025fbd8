package org.qlora4j;

import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.data.Row;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.Token;
import org.qlora4j.grammar.JsonGrammar;
import org.qlora4j.grammar.ToolForm;
import org.qlora4j.grammar.ToolStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A chat asked of a {@link TextService} and what comes of it, told to the thread that waits: the
 * service's own must not be held up. Calls of tools are found in the answer.
 */
public final class ChatExchange {
    private final TextService service;
    private final TextRequest request;
    private final Duration timeout;
    private final @Nullable ToolForm form;
    private final Map<String, JsonNode> parameters;
    private final @Nullable ToolStream held;
    private final BlockingQueue<Event> events = new LinkedBlockingQueue<>();
    private final List<Integer> tokens = new ArrayList<>();
    private final StringBuilder text = new StringBuilder();
    private volatile TextService.@Nullable Ticket ticket;
    private volatile boolean cancelled;

    /**
     * A call of a tool.
     *
     * @param id nine letters and digits, as Mistral's templates ask for
     * @param arguments as JSON
     */
    public record Call(String id, String name, String arguments) {}

    /**
     * What came of it.
     *
     * @param text what is said, without calls
     * @param answer with calls in its text
     */
    public record Reply(String text, List<Call> calls, Answer answer) {}

    /** Something that happened to the answer. */
    private sealed interface Event {
        /** A token, and the text that is sure with it. */
        record Piece(int id, String text) implements Event {}

        /** The end, with text that was held back. */
        record End(String rest, Answer answer) implements Event {}

        /** The end of what failed. */
        record Failed(RuntimeException failure) implements Event {}
    }

    /**
     * An exchange that has not begun.
     *
     * @param timeout from {@link #run} to the end of the answer
     * @throws ConfigException if there is no such adapter, if tools come with a grammar, or with a
     *     chat template that writes none
     */
    public ChatExchange(TextService service, ChatQuestion question, Duration timeout) {
        this.service = service;
        this.timeout = timeout;
        this.parameters = parameters(question.tools());
        this.form = parameters.isEmpty() ? null : toolForm(service, question);
        this.held = form == null ? null : new ToolStream(form);
        JsonGrammar grammar =
                form != null && question.mustCall() ? form.grammar(parameters) : question.grammar();
        Prompt prompt = new Prompt.OfRecord(new Row("the request", 1, question.row()), null);
        this.request = new TextRequest(question.adapter(), prompt, question.config(), grammar);
    }

    private static ToolForm toolForm(TextService service, ChatQuestion question) {
        if (question.grammar() != null) {
            throw new ConfigException("tools and a response format exclude each other here");
        }
        ToolForm form = ToolForm.of(service.chatTemplate(question.adapter()));
        if (form == null) {
            throw new ConfigException(
                    "the chat template of this model writes no tools that are known");
        }
        return form;
    }

    private static Map<String, JsonNode> parameters(List<Map<String, Object>> tools) {
        Map<String, JsonNode> out = new LinkedHashMap<>();
        for (Map<String, Object> tool : tools) {
            JsonNode function = JsonMapper.shared().valueToTree(tool.get("function"));
            out.put(function.path("name").asString(""), function.path("parameters"));
        }
        return out;
    }

    /** Asks for the answer's end, from any thread. */
    public void cancel() {
        cancelled = true;
        TextService.Ticket begun = ticket;
        if (begun != null) {
            begun.cancel();
        }
    }

    /** Whether its end was asked for. */
    public boolean isCancelled() {
        return cancelled;
    }

    /**
     * Asks, and waits for the end; once.
     *
     * @param onText takes what is said as it comes, on this thread; calls of tools are left out
     * @throws org.qlora4j.error.UserException if the request has a fault
     * @throws BusyException if too many wait
     * @throws AnswerTimeoutException if it takes too long
     * @throws CancellationException if this thread is interrupted, which it then stays
     */
    public Reply run(Consumer<String> onText) {
        long deadline = System.nanoTime() + timeout.toNanos();
        ticket = service.submit(request, new Told());
        if (cancelled) {
            cancel();
        }
        try {
            while (true) {
                switch (next(deadline)) {
                    case Event.Piece(int id, String piece) -> {
                        tokens.add(id);
                        say(held == null ? piece : held.push(service.textOf(id), piece), onText);
                    }
                    case Event.End(String rest, Answer answer) -> {
                        return reply(rest, answer, onText);
                    }
                    case Event.Failed(RuntimeException failure) -> throw failure;
                }
            }
        } catch (RuntimeException | Error e) {
            cancel(); // who takes the text may fail too
            throw e;
        }
    }

    private void say(String piece, Consumer<String> onText) {
        if (!piece.isEmpty()) {
            text.append(piece);
            onText.accept(piece);
        }
    }

    private Event next(long deadline) {
        try {
            Event event = events.poll(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
            if (event == null) {
                throw new AnswerTimeoutException(
                        "the answer took longer than %d s".formatted(timeout.toSeconds()));
            }
            return event;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new CancellationException("the thread that waits for the answer was interrupted");
        }
    }

    private Reply reply(String rest, Answer answer, Consumer<String> onText) {
        List<Call> calls = List.of();
        String last = rest;
        if (held != null && form != null) {
            calls =
                    form.parse(service.textOf(tokens), parameters.keySet()).calls().stream()
                            .map(call -> new Call(newId(), call.name(), call.arguments()))
                            .toList();
            last = calls.isEmpty() ? held.finish() + rest : "";
        }
        say(last, onText);
        String said = calls.isEmpty() ? text.toString() : text.toString().strip();
        return new Reply(said, calls, answer);
    }

    private static String newId() {
        return UUID.randomUUID().toString().replace("-", "").substring(0, 9);
    }

    /** Hands over what the service tells. */
    private final class Told implements TextListener {
        @Override
        public void token(Token token, String piece) {
            events.add(new Event.Piece(token.id(), piece));
        }

        @Override
        public void ended(String rest, Answer answer) {
            events.add(new Event.End(rest, answer));
        }

        @Override
        public void failed(RuntimeException failure) {
            events.add(new Event.Failed(failure));
        }
    }
}
