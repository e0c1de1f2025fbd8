package org.qlora4j.langchain4j;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.exception.RateLimitException;
import dev.langchain4j.exception.TimeoutException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.ResponseFormat;
import dev.langchain4j.model.chat.request.ResponseFormatType;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.TokenUsage;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.AnswerTimeoutException;
import org.qlora4j.BusyException;
import org.qlora4j.ChatExchange;
import org.qlora4j.ChatQuestion;
import org.qlora4j.TextService;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.UserException;
import org.qlora4j.generate.StopReason;
import org.qlora4j.grammar.JsonGrammar;
import tools.jackson.databind.json.JsonMapper;

/** A request of LangChain4j and what comes of it, with LangChain4j's exceptions. */
final class Exchange {
    /** What the base model is called. */
    static final String BASE = "base";

    private final ChatExchange exchange;
    private final String modelName;

    /**
     * Reads a request.
     *
     * @throws InvalidRequestException if a setting or the schema of the answer cannot be used
     * @throws ModelNotFoundException if it names an adapter that the service has not
     * @throws UnsupportedFeatureException if it asks what models of this library cannot do
     */
    Exchange(Settings settings, ChatRequest asked) {
        String adapter = adapter(settings.service(), asked.parameters().modelName());
        this.modelName = adapter == null ? BASE : adapter;
        ChatQuestion question = question(settings, asked, adapter);
        try {
            this.exchange = new ChatExchange(settings.service(), question, settings.timeout());
        } catch (ConfigException e) {
            throw new UnsupportedFeatureException(e.getMessage());
        }
    }

    private static ChatQuestion question(
            Settings settings, ChatRequest asked, @Nullable String adapter) {
        ChatRequestParameters parameters = asked.parameters();
        List<ToolSpecification> tools = parameters.toolSpecifications();
        boolean none = tools == null || parameters.toolChoice() == ToolChoice.NONE;
        try {
            return new ChatQuestion(
                    adapter,
                    asked.messages().stream().map(Messages::of).toList(),
                    none ? List.of() : Messages.tools(tools),
                    parameters.toolChoice() == ToolChoice.REQUIRED,
                    grammar(parameters.responseFormat()),
                    settings.generation(parameters));
        } catch (UserException e) {
            throw new InvalidRequestException(e.getMessage(), e);
        }
    }

    /** The adapter of a model's name; null for the base model. */
    static @Nullable String adapter(TextService service, @Nullable String modelName) {
        if (modelName == null || modelName.equals(BASE)) {
            return null;
        }
        if (!service.adapters().contains(modelName)) {
            throw new ModelNotFoundException(
                    "there is no adapter %s; the service has %s"
                            .formatted(modelName, service.adapters()));
        }
        return modelName;
    }

    private static @Nullable JsonGrammar grammar(@Nullable ResponseFormat format) {
        if (format == null || format.type() == ResponseFormatType.TEXT) {
            return null;
        }
        return format.jsonSchema() == null
                ? JsonGrammar.anyObject()
                : JsonGrammar.of(
                        JsonMapper.shared()
                                .valueToTree(Messages.schema(format.jsonSchema().rootElement())));
    }

    void cancel() {
        exchange.cancel();
    }

    boolean isCancelled() {
        return exchange.isCancelled();
    }

    /**
     * Asks, and waits for the end.
     *
     * @param onText as in {@link ChatExchange#run}
     * @throws InvalidRequestException if the request has a fault
     * @throws RateLimitException if too many wait
     * @throws TimeoutException if it takes too long
     */
    ChatResponse run(Consumer<String> onText) {
        try {
            return response(exchange.run(onText));
        } catch (BusyException e) {
            throw new RateLimitException(e.getMessage(), e);
        } catch (UserException e) {
            throw new InvalidRequestException(e.getMessage(), e);
        } catch (AnswerTimeoutException | CancellationException e) {
            throw new TimeoutException(e.getMessage(), e);
        }
    }

    private ChatResponse response(ChatExchange.Reply reply) {
        boolean calls = !reply.calls().isEmpty();
        AiMessage message =
                AiMessage.builder()
                        .text(calls && reply.text().isEmpty() ? null : reply.text())
                        .toolExecutionRequests(reply.calls().stream().map(Exchange::call).toList())
                        .build();
        return ChatResponse.builder()
                .aiMessage(message)
                .modelName(modelName)
                .tokenUsage(
                        new TokenUsage(reply.answer().promptTokens(), reply.answer().newTokens()))
                .finishReason(
                        calls ? FinishReason.TOOL_EXECUTION : reason(reply.answer().stopReason()))
                .build();
    }

    private static ToolExecutionRequest call(ChatExchange.Call call) {
        return ToolExecutionRequest.builder()
                .id(call.id())
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
}
