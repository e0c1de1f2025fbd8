package org.qlora4j.langchain4j;

import dev.langchain4j.agent.tool.ToolExecutionRequest;
import dev.langchain4j.model.chat.Capability;
import dev.langchain4j.model.chat.StreamingChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.CompleteToolCall;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.chat.response.StreamingHandle;
import java.util.List;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A model in this process as LangChain4j's {@link StreamingChatModel}. A handler is called on a
 * thread of its own, so that it may take its time. Text comes at once, a call of a tool whole.
 */
public final class QloraStreamingChatModel implements StreamingChatModel {
    private static final Logger LOG = LoggerFactory.getLogger(QloraStreamingChatModel.class);

    private final Settings settings;

    private QloraStreamingChatModel(Settings settings) {
        this.settings = settings;
    }

    public static QloraBuilder<QloraStreamingChatModel> builder() {
        return new QloraBuilder<>(QloraStreamingChatModel::new);
    }

    /**
     * Begins an answer and does not wait for it. Failures, those of the handler too, are told to
     * {@link StreamingChatResponseHandler#onError}; they are the same as of {@link
     * QloraChatModel#doChat}. After a cancellation nothing more is told.
     */
    @Override
    public void doChat(ChatRequest request, StreamingChatResponseHandler handler) {
        Thread.ofVirtual()
                .name("qlora4j-stream")
                .start(() -> {
                    try {
                        run(request, handler);
                    } catch (RuntimeException | Error e) {
                        tell(handler, e);
                    }
                });
    }

    private void run(ChatRequest request, StreamingChatResponseHandler handler) {
        Exchange exchange = new Exchange(settings, request);
        StreamingHandle handle =
                new StreamingHandle() {
                    @Override
                    public void cancel() {
                        exchange.cancel();
                    }

                    @Override
                    public boolean isCancelled() {
                        return exchange.isCancelled();
                    }
                };
        PartialResponseContext context = new PartialResponseContext(handle);
        ChatResponse response =
                exchange.run(text -> {
                    if (!exchange.isCancelled()) {
                        safely(
                                handler,
                                () ->
                                        handler.onPartialResponse(
                                                new PartialResponse(text), context));
                    }
                });
        if (exchange.isCancelled()) {
            return;
        }
        List<ToolExecutionRequest> calls = response.aiMessage().toolExecutionRequests();
        for (int i = 0; i < calls.size(); i++) {
            CompleteToolCall call = new CompleteToolCall(i, calls.get(i));
            safely(handler, () -> handler.onCompleteToolCall(call));
        }
        safely(handler, () -> handler.onCompleteResponse(response));
    }

    /** What a handler throws is told to it, and the answer goes on. */
    private static void safely(StreamingChatResponseHandler handler, Runnable call) {
        try {
            call.run();
        } catch (RuntimeException e) {
            tell(handler, e);
        }
    }

    private static void tell(StreamingChatResponseHandler handler, Throwable failure) {
        try {
            handler.onError(failure);
        } catch (RuntimeException e) {
            LOG.warn("a handler's onError failed: {}", e.toString());
        }
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
