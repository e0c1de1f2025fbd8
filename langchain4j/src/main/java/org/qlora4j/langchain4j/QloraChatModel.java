package org.qlora4j.langchain4j;

import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.ChatResponse;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/**
 * A model in this process as LangChain4j's {@link ChatModel}. Requests of many threads are answered
 * in one running batch; each may name an adapter of its own by {@code modelName}.
 *
 * <pre>{@code
 * try (LanguageModel model = LanguageModel.load(path);
 *         TextService service = model.serve(ServiceConfig.DEFAULT)) {
 *     ChatModel chat = QloraChatModel.builder().service(service).temperature(0.7).build();
 *     System.out.println(chat.chat("What is QLoRA?"));
 * }
 * }</pre>
 */
public final class QloraChatModel implements ChatModel {
    private final Settings settings;

    private QloraChatModel(Settings settings) {
        this.settings = settings;
    }

    public static QloraBuilder<QloraChatModel> builder() {
        return new QloraBuilder<>(QloraChatModel::new);
    }

    /**
     * Answers a request; an interrupt of the thread that waits ends the answer.
     *
     * @throws dev.langchain4j.exception.InvalidRequestException if the request has a fault, such as
     *     a prompt that is too long
     * @throws dev.langchain4j.exception.ModelNotFoundException if the service has no such adapter
     * @throws dev.langchain4j.exception.RateLimitException if too many requests wait
     * @throws dev.langchain4j.exception.TimeoutException if it takes too long
     * @throws dev.langchain4j.exception.UnsupportedFeatureException if it asks for what models of
     *     this library cannot do
     */
    @Override
    public ChatResponse doChat(ChatRequest request) {
        return new Exchange(settings, request).run(text -> {});
    }

    /** As {@link #doChat}, on a thread of its own; who cancels the future ends the answer. */
    @Override
    public CompletableFuture<ChatResponse> doChatAsync(ChatRequest request) {
        CompletableFuture<ChatResponse> out = new CompletableFuture<>();
        Thread.ofVirtual()
                .start(() -> {
                    try {
                        Exchange exchange = new Exchange(settings, request);
                        out.whenComplete((response, failure) -> {
                            if (out.isCancelled()) {
                                exchange.cancel();
                            }
                        });
                        out.complete(exchange.run(text -> {}));
                    } catch (RuntimeException | Error e) {
                        out.completeExceptionally(e);
                    }
                });
        return out;
    }

    @Override
    public ChatRequestParameters defaultRequestParameters() {
        return settings.parameters();
    }

    @Override
    public List<ChatModelListener> listeners() {
        return settings.listeners();
    }

    /** Answers keep a JSON schema at every token. */
    @Override
    public Set<Capability> supportedCapabilities() {
        return Set.of(Capability.RESPONSE_FORMAT_JSON_SCHEMA);
    }
}
