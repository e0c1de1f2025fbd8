package org.qlora4j.springai;

import static org.qlora4j.error.Require.given;

import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ChatExchange;
import org.qlora4j.ChatQuestion;
import org.qlora4j.TextService;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.StopReason;
import org.qlora4j.grammar.JsonGrammar;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.metadata.ChatGenerationMetadata;
import org.springframework.ai.chat.metadata.ChatResponseMetadata;
import org.springframework.ai.chat.metadata.DefaultUsage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.model.Generation;
import org.springframework.ai.chat.model.MessageAggregator;
import org.springframework.ai.chat.observation.ChatModelObservationContext;
import org.springframework.ai.chat.observation.ChatModelObservationConvention;
import org.springframework.ai.chat.observation.ChatModelObservationDocumentation;
import org.springframework.ai.chat.observation.DefaultChatModelObservationConvention;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;

/**
 * A model in this process as Spring AI's {@link ChatModel}. Requests of many threads are answered
 * in one running batch; each may name an adapter of its own as its {@code model}.
 *
 * <pre>{@code
 * try (LanguageModel model = LanguageModel.load(path);
 *         TextService service = model.serve(ServiceConfig.DEFAULT)) {
 *     ChatModel chat = QloraChatModel.builder().service(service).build();
 *     System.out.println(ChatClient.create(chat).prompt("What is QLoRA?").call().content());
 * }
 * }</pre>
 */
public final class QloraChatModel implements ChatModel {
    /** What the base model is called. */
    static final String BASE = "base";

    /** The name of the provider in observations. */
    static final String PROVIDER = "qlora4j";

    private final TextService service;
    private final QloraChatOptions options;
    private final GenerationConfig generation;
    private final Duration timeout;
    private final ObservationRegistry observations;
    private final ChatModelObservationConvention convention;

    private QloraChatModel(Builder from) {
        this.service = given(from.service, "service");
        this.options = from.options;
        this.generation = from.generation;
        this.timeout = from.timeout;
        this.observations = from.observations;
        this.convention = from.convention;
    }

    public static Builder builder() {
        return new Builder();
    }

    /** Options of requests that have none of their own. */
    @Override
    public QloraChatOptions getOptions() {
        return options;
    }

    /** The adapter of a model's name; null for the base model. */
    static @Nullable String adapter(@Nullable String model) {
        return model == null || model.equals(BASE) ? null : model;
    }

    /**
     * Answers a prompt; an interrupt of the thread that waits ends the answer. Calls of tools are
     * told, and executed by {@code ChatClient}.
     *
     * @throws org.qlora4j.error.UserException if the request has a fault, such as a prompt that is
     *     too long, an adapter that is not loaded, or tools that the model's template cannot write
     * @throws org.qlora4j.BusyException if too many requests wait
     * @throws org.qlora4j.AnswerTimeoutException if it takes too long
     * @throws java.util.concurrent.CancellationException if the thread is interrupted
     */
    @Override
    public ChatResponse call(Prompt prompt) {
        Prompt asked = withOptions(prompt);
        ChatModelObservationContext context = context(asked, false);
        return given(
                observation(context)
                        .observe(() -> {
                            Answering answering = new Answering(asked);
                            ChatResponse response =
                                    answering.whole(answering.exchange.run(text -> {}), true);
                            context.setResponse(response);
                            return response;
                        }),
                "response");
    }

    /**
     * Answers as it is subscribed to, on a thread of its own. Text comes at once; calls of tools,
     * usage and the reason of the end come last. A subscriber that cancels ends the answer.
     * Failures are those of {@link #call(Prompt)}.
     */
    @Override
    public Flux<ChatResponse> stream(Prompt prompt) {
        Prompt asked = withOptions(prompt);
        return Flux.deferContextual(view -> {
            ChatModelObservationContext context = context(asked, true);
            Observation observation = observation(context);
            Observation parent = view.getOrDefault(ObservationThreadLocalAccessor.KEY, null);
            observation.parentObservation(parent).start();
            Flux<ChatResponse> pieces =
                    Flux.<ChatResponse>create(sink -> begin(asked, sink))
                            .doOnError(observation::error)
                            .doFinally(signal -> observation.stop())
                            .contextWrite(
                                    c -> c.put(ObservationThreadLocalAccessor.KEY, observation));
            return new MessageAggregator().aggregate(pieces, context::setResponse);
        });
    }

    private void begin(Prompt asked, FluxSink<ChatResponse> sink) {
        Answering answering = new Answering(asked);
        sink.onCancel(answering.exchange::cancel);
        Thread.ofVirtual()
                .name("qlora4j-stream")
                .start(() -> {
                    try {
                        ChatExchange.Reply reply =
                                answering.exchange.run(text -> sink.next(answering.piece(text)));
                        sink.next(answering.whole(reply, false));
                        sink.complete();
                    } catch (RuntimeException | Error e) {
                        sink.error(e);
                    }
                });
    }

    private Observation observation(ChatModelObservationContext context) {
        return ChatModelObservationDocumentation.CHAT_MODEL_OPERATION.observation(
                convention,
                new DefaultChatModelObservationConvention(),
                () -> context,
                observations);
    }

    private static ChatModelObservationContext context(Prompt asked, boolean streaming) {
        return ChatModelObservationContext.builder()
                .prompt(asked)
                .provider(PROVIDER)
                .streaming(streaming)
                .build();
    }

    /** The prompt with options of this library; those of others go over the model's. */
    private Prompt withOptions(Prompt prompt) {
        ChatOptions given = prompt.getOptions();
        if (given instanceof QloraChatOptions) {
            return prompt;
        }
        QloraChatOptions whole =
                given == null ? options : options.mutate().combineWith(given.mutate()).build();
        return prompt.mutate().chatOptions(whole).build();
    }

    private GenerationConfig generation(QloraChatOptions asked) {
        GenerationConfig.Builder out = generation.toBuilder();
        set(asked.getTemperature(), out::temperatureOrGreedy);
        set(asked.getTopP(), out::topP);
        set(asked.getTopK(), out::topK);
        set(asked.getMinP(), out::minP);
        set(asked.getFrequencyPenalty(), out::frequencyPenalty);
        set(asked.getPresencePenalty(), out::presencePenalty);
        set(asked.getRepetitionPenalty(), out::repetitionPenalty);
        set(asked.getMaxTokens(), out::maxNewTokens);
        set(asked.getStopSequences(), out::stopStrings);
        Long seed = asked.getSeed();
        return out.seed(seed == null ? ThreadLocalRandom.current().nextLong() : seed).build();
    }

    private static <T> void set(@Nullable T value, Consumer<T> setting) {
        if (value != null) {
            setting.accept(value);
        }
    }

    /** An answer and what its responses have in common. */
    private final class Answering {
        private final String id = "qlora4j-" + UUID.randomUUID();
        private final String model;
        private final ChatExchange exchange;

        Answering(Prompt asked) {
            QloraChatOptions own =
                    asked.getOptions() instanceof QloraChatOptions given ? given : options;
            String adapter = adapter(own.getModel());
            boolean none = own.getToolChoice() == QloraChatOptions.ToolChoice.NONE;
            String schema = own.getOutputSchema();
            ChatQuestion question =
                    new ChatQuestion(
                            adapter,
                            Messages.of(asked.getInstructions()),
                            none ? List.of() : Messages.tools(own.getToolCallbacks()),
                            own.getToolChoice() == QloraChatOptions.ToolChoice.REQUIRED
                                    && !Messages.endWithToolResult(asked.getInstructions()),
                            schema == null
                                    ? null
                                    : JsonGrammar.of(Messages.json("the output schema", schema)),
                            generation(own));
            this.model = adapter == null ? BASE : adapter;
            this.exchange = new ChatExchange(service, question, timeout);
        }

        private ChatResponseMetadata.Builder metadata() {
            return ChatResponseMetadata.builder().id(id).model(model);
        }

        ChatResponse piece(String text) {
            return new ChatResponse(
                    List.of(new Generation(new AssistantMessage(text))), metadata().build());
        }

        /**
         * The end of an answer.
         *
         * @param withText whether it has not been told in pieces
         */
        ChatResponse whole(ChatExchange.Reply reply, boolean withText) {
            AssistantMessage message =
                    AssistantMessage.builder()
                            .content(withText ? reply.text() : "")
                            .toolCalls(
                                    reply.calls().stream()
                                            .map(call ->
                                                    new AssistantMessage.ToolCall(
                                                            call.id(),
                                                            "function",
                                                            call.name(),
                                                            call.arguments()))
                                            .toList())
                            .build();
            String reason =
                    reply.calls().isEmpty() ? reason(reply.answer().stopReason()) : "TOOL_CALLS";
            return new ChatResponse(
                    List.of(
                            new Generation(
                                    message,
                                    ChatGenerationMetadata.builder().finishReason(reason).build())),
                    metadata()
                            .usage(
                                    new DefaultUsage(
                                            reply.answer().promptTokens(),
                                            reply.answer().newTokens()))
                            .build());
        }
    }

    /** As Spring AI's model for OpenAI tells it. */
    private static String reason(StopReason reason) {
        return switch (reason) {
            case END_OF_TEXT, STOP_STRING -> "STOP";
            case MAX_NEW_TOKENS, CONTEXT_FULL -> "LENGTH";
            case CANCELLED -> "CANCELLED";
        };
    }

    /** Builds a chat model; only the service must be given. */
    public static final class Builder {
        private @Nullable TextService service;
        private QloraChatOptions options = QloraChatOptions.builder().build();
        private GenerationConfig generation =
                GenerationConfig.DEFAULT.withMaxNewTokens(Integer.MAX_VALUE);
        private Duration timeout = Duration.ofMinutes(10);
        private ObservationRegistry observations = ObservationRegistry.NOOP;
        private ChatModelObservationConvention convention =
                new DefaultChatModelObservationConvention();

        private Builder() {}

        /** What answers; it stays its owner's, who closes it after the last answer. */
        public Builder service(TextService value) {
            service = value;
            return this;
        }

        /** Options of requests that have none of their own. */
        public Builder options(QloraChatOptions value) {
            options = given(value, "options");
            return this;
        }

        /** Settings that there are no options for; options go before them. */
        public Builder generation(GenerationConfig value) {
            generation = given(value, "generation");
            return this;
        }

        /** How long an answer may take. */
        public Builder timeout(Duration value) {
            timeout = given(value, "timeout");
            return this;
        }

        /** Where answers are observed. */
        public Builder observationRegistry(ObservationRegistry value) {
            observations = given(value, "observationRegistry");
            return this;
        }

        /** How answers are observed. */
        public Builder observationConvention(ChatModelObservationConvention value) {
            convention = given(value, "observationConvention");
            return this;
        }

        /**
         * The model.
         *
         * @throws NullPointerException if no service was given
         */
        public QloraChatModel build() {
            return new QloraChatModel(this);
        }
    }
}
