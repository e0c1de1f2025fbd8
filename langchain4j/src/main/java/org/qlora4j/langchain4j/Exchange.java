package org.qlora4j.langchain4j;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.RateLimitException;
import dev.langchain4j.exception.TimeoutException;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.TokenUsage;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Answer;
import org.qlora4j.BusyException;
import org.qlora4j.TextListener;
import org.qlora4j.TextService;
import org.qlora4j.error.UserException;
import org.qlora4j.generate.StopReason;
import org.qlora4j.generate.Token;
import org.qlora4j.grammar.ToolForm;
import org.qlora4j.grammar.ToolStream;

/**
 * A request and what comes of it, told to the thread that waits for it: the service's own must not
 * be held up.
 */
final class Exchange {
    private final Settings settings;
    private final Asked asked;
    private final @Nullable ToolStream held;
    private final BlockingQueue<Event> events = new LinkedBlockingQueue<>();
    private final List<Integer> tokens = new ArrayList<>();
    private final StringBuilder text = new StringBuilder();
    private final long deadline;
    private volatile TextService.@Nullable Ticket ticket;
    private volatile boolean cancelled;

    /** Something that happened to the answer. */
    private sealed interface Event {
        /** A token, and the text that is sure with it. */
        record Piece(int id, String text) implements Event {}

        /** The end, with text that was held back. */
        record End(String rest, Answer answer) implements Event {}

        /** The end of what failed. */
        record Failed(RuntimeException failure) implements Event {}
    }

    Exchange(Settings settings, Asked asked) {
        this.settings = settings;
        this.asked = asked;
        this.held = asked.toolForm() == null ? null : new ToolStream(asked.toolForm());
        this.deadline = System.nanoTime() + settings.timeout().toNanos();
    }

    /** Asks for the answer's end, from any thread. */
    void cancel() {
        cancelled = true;
        TextService.Ticket begun = ticket;
        if (begun != null) {
            begun.cancel();
        }
    }

    boolean isCancelled() {
        return cancelled;
    }

    /**
     * Asks, and waits for the end.
     *
     * @param onText takes what is said as it comes, on this thread; calls of tools are left out
     * @throws InvalidRequestException if the request has a fault
     * @throws RateLimitException if too many wait
     * @throws TimeoutException if it takes too long
     */
    ChatResponse run(Consumer<String> onText) {
        try {
            ticket = settings.service().submit(asked.request(), new Told());
            if (cancelled) {
                cancel();
            }
            return await(onText);
        } catch (BusyException e) {
            throw new RateLimitException(e.getMessage(), e);
        } catch (UserException e) {
            throw new InvalidRequestException(e.getMessage(), e);
        }
    }

    private ChatResponse await(Consumer<String> onText) {
        while (true) {
            switch (next()) {
                case Event.Piece(int id, String piece) -> {
                    tokens.add(id);
                    String word = settings.service().textOf(id);
                    say(held == null ? piece : held.push(word, piece), onText);
                }
                case Event.End(String rest, Answer answer) -> {
                    return response(rest, answer, onText);
                }
                case Event.Failed(RuntimeException failure) -> throw failure;
            }
        }
    }

    private void say(String piece, Consumer<String> onText) {
        if (!piece.isEmpty()) {
            text.append(piece);
            onText.accept(piece);
        }
    }

    private Event next() {
        try {
            Event event = events.poll(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
            if (event != null) {
                return event;
            }
            cancel();
            throw new TimeoutException(
                    "the answer took longer than %d s".formatted(settings.timeout().toSeconds()));
        } catch (InterruptedException e) {
            cancel();
            Thread.currentThread().interrupt();
            throw new TimeoutException("the thread that waits for the answer was interrupted", e);
        }
    }

    private ChatResponse response(String rest, Answer answer, Consumer<String> onText) {
        List<ToolExecutionRequest> calls = List.of();
        String last = rest;
        ToolForm form = asked.toolForm();
        if (held != null && form != null) {
            ToolForm.Answered parsed = form.parse(settings.service().textOf(tokens), asked.tools());
            calls = parsed.calls().stream().map(Exchange::call).toList();
            last = calls.isEmpty() ? held.finish() + rest : "";
        }
        say(last, onText);
        String said = calls.isEmpty() ? text.toString() : text.toString().strip();
        AiMessage message =
                AiMessage.builder()
                        .text(calls.isEmpty() || !said.isEmpty() ? said : null)
                        .toolExecutionRequests(calls)
                        .build();
        return ChatResponse.builder()
                .aiMessage(message)
                .modelName(asked.modelName())
                .tokenUsage(new TokenUsage(answer.promptTokens(), answer.newTokens()))
                .finishReason(
                        calls.isEmpty() ? reason(answer.stopReason()) : FinishReason.TOOL_EXECUTION)
                .build();
    }

    private static ToolExecutionRequest call(ToolForm.Call call) {
        return ToolExecutionRequest.builder()
                .id(UUID.randomUUID().toString().substring(0, 8))
                .name(call.name())
                .arguments(call.arguments())
                .build();
    }

    private static FinishReason reason(StopReason reason) {
        return switch (reason) {
            case END_OF_TEXT, STOP_STRING -> FinishReason.STOP;
            case MAX_NEW_TOKENS, CONTEXT_FULL -> FinishReason.LENGTH;
            case CANCELLED -> FinishReason.OTHER;
        };
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
