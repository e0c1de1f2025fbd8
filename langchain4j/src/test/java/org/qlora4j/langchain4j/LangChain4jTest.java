package org.qlora4j.langchain4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.langchain4j.agent.tool.P;
import dev.langchain4j.agent.tool.Tool;
import dev.langchain4j.agent.tool.ToolSpecification;
import dev.langchain4j.data.embedding.Embedding;
import dev.langchain4j.data.message.AiMessage;
import dev.langchain4j.data.message.ChatMessage;
import dev.langchain4j.data.message.ImageContent;
import dev.langchain4j.data.message.SystemMessage;
import dev.langchain4j.data.message.ToolExecutionResultMessage;
import dev.langchain4j.data.message.UserMessage;
import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.exception.InvalidRequestException;
import dev.langchain4j.exception.ModelNotFoundException;
import dev.langchain4j.exception.RateLimitException;
import dev.langchain4j.exception.TimeoutException;
import dev.langchain4j.exception.UnsupportedFeatureException;
import dev.langchain4j.memory.chat.MessageWindowChatMemory;
import dev.langchain4j.model.chat.ChatModel;
import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.listener.ChatModelResponseContext;
import dev.langchain4j.model.chat.request.ChatRequest;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import dev.langchain4j.model.chat.request.ToolChoice;
import dev.langchain4j.model.chat.response.ChatResponse;
import dev.langchain4j.model.chat.response.CompleteToolCall;
import dev.langchain4j.model.chat.response.PartialResponse;
import dev.langchain4j.model.chat.response.PartialResponseContext;
import dev.langchain4j.model.chat.response.StreamingChatResponseHandler;
import dev.langchain4j.model.output.FinishReason;
import dev.langchain4j.model.output.Response;
import dev.langchain4j.service.AiServices;
import dev.langchain4j.service.TokenStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.LanguageModel;
import org.qlora4j.Prompt;
import org.qlora4j.ServiceConfig;
import org.qlora4j.TextService;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * LangChain4j's own interfaces, and services made by it, over a model of 27,000 weights; texts are
 * those that transformers and PEFT give.
 */
class LangChain4jTest {
    private static final Path TINY = Path.of("../core/src/test/resources/tiny-llama");
    private static final QuantConfig F32 =
            QuantConfig.DEFAULT.withLoad4bit(false).withComputeDtype(ComputeDtype.FLOAT32);
    private static final String WITH_TOOLS =
            """
            {%- for t in tools or [] %}{{ t.function.name }}{% endfor -%}
            {%- for m in messages %}{{ m.content }}{%- for c in m.tool_calls or [] -%}
            <tool_call>{{ c.function.name }}{{ c.function.arguments.shut }}</tool_call>{% endfor -%}
            {% endfor -%}
            """;

    @TempDir static Path folder;

    private static JsonNode expected;
    private static LanguageModel model;
    private static TextService service;
    private static LanguageModel toolModel; // the same weights under another template
    private static TextService toolService;

    @BeforeAll
    static void load() throws Exception {
        expected = JsonMapper.shared().readTree(Files.readAllBytes(TINY.resolve("expected.json")));
        for (String name :
                List.of(
                        "config.json",
                        "model.safetensors",
                        "tokenizer.json",
                        "tokenizer_config.json")) {
            Files.copy(TINY.resolve(name), folder.resolve(name));
        }
        Files.writeString(folder.resolve("chat_template.jinja"), WITH_TOOLS);
        model = LanguageModel.load(TINY, F32);
        service = model.serve(new ServiceConfig(3, 16, 50));
        service.load("pirate", TINY.resolve("adapter"));
        toolModel = LanguageModel.load(folder, F32);
        toolService = toolModel.serve(new ServiceConfig(3, 16, 50));
    }

    @AfterAll
    static void close() {
        toolService.close();
        toolModel.close();
        service.close();
        model.close();
    }

    private static List<ChatMessage> messages(JsonNode chat) {
        List<ChatMessage> out = new ArrayList<>();
        for (JsonNode message : chat.get("messages")) {
            String text = message.get("content").asString();
            out.add(
                    switch (message.get("role").asString()) {
                        case "system" -> SystemMessage.from(text);
                        case "assistant" -> AiMessage.from(text);
                        default -> UserMessage.from(text);
                    });
        }
        return out;
    }

    private static QloraBuilder<QloraChatModel> greedy(TextService by) {
        return QloraChatModel.builder().service(by).temperature(0).maxOutputTokens(24);
    }

    @ParameterizedTest
    @CsvSource({"base, chats", "pirate, adapter_chats"})
    void chats_areAnsweredAsByTransformersAndPeft(String name, String key) {
        ChatModel chatModel = greedy(service).build();
        for (JsonNode chat : expected.get(key)) {
            ChatResponse response =
                    chatModel.chat(
                            ChatRequest.builder().messages(messages(chat)).modelName(name).build());
            assertThat(response.aiMessage().text()).isEqualTo(chat.get("text").asString());
            assertThat(response.modelName()).isEqualTo(name);
            boolean cut = chat.get("new_ids").size() == 24;
            assertThat(response.finishReason())
                    .isEqualTo(cut ? FinishReason.LENGTH : FinishReason.STOP);
            assertThat(response.tokenUsage().inputTokenCount()).isEqualTo(chat.get("ids").size());
            assertThat(response.tokenUsage().outputTokenCount())
                    .isEqualTo(chat.get("new_ids").size());
        }
    }

    @Test
    void listenersAndDefaults_areThoseOfTheBuilder() throws Exception {
        List<String> told = new ArrayList<>();
        ChatModelListener listener =
                new ChatModelListener() {
                    @Override
                    public void onResponse(ChatModelResponseContext context) {
                        told.add(context.chatResponse().aiMessage().text());
                    }
                };
        JsonNode chat = expected.get("adapter_chats").get(0);
        QloraChatModel chatModel =
                greedy(service)
                        .defaultRequestParameters(
                                ChatRequestParameters.builder().modelName("pirate").build())
                        .listeners(List.of(listener))
                        .build();
        ChatResponse response =
                chatModel
                        .chatAsync(ChatRequest.builder().messages(messages(chat)).build())
                        .get(60, TimeUnit.SECONDS);
        assertThat(response.aiMessage().text()).isEqualTo(chat.get("text").asString());
        assertThat(chatModel.chat(messages(chat)).aiMessage().text())
                .isEqualTo(chat.get("text").asString());
        assertThat(told).contains(chat.get("text").asString());
        String text = chat.get("text").asString();
        String stop = text.substring(3, 5);
        assertThat(
                        greedy(service)
                                .modelName("pirate")
                                .stopSequences(List.of(stop))
                                .build()
                                .chat(messages(chat))
                                .aiMessage()
                                .text())
                .isEqualTo(text.substring(0, text.indexOf(stop)));
    }

    @Test
    void seed_repeatsWhatIsDrawn() {
        QloraBuilder<QloraChatModel> builder =
                QloraChatModel.builder()
                        .service(service)
                        .temperature(1.5)
                        .topP(0.95)
                        .topK(100)
                        .maxOutputTokens(12);
        String first = builder.seed(5).build().chat("Once");
        assertThat(builder.build().chat("Once")).isEqualTo(first);
        assertThat(builder.seed(6).build().chat("Once")).isNotEqualTo(first);
    }

    /** What a handler is told. */
    private static final class Heard implements StreamingChatResponseHandler {
        final StringBuilder text = new StringBuilder();
        final List<CompleteToolCall> calls = new ArrayList<>();
        final CompletableFuture<ChatResponse> response = new CompletableFuture<>();
        int pieces;

        @Override
        public void onPartialResponse(String piece) {
            text.append(piece);
            pieces++;
        }

        @Override
        public void onCompleteToolCall(CompleteToolCall call) {
            calls.add(call);
        }

        @Override
        public void onCompleteResponse(ChatResponse whole) {
            response.complete(whole);
        }

        @Override
        public void onError(Throwable failure) {
            response.completeExceptionally(failure);
        }
    }

    @Test
    void stream_isTheAnswerInPieces() throws Exception {
        JsonNode chat = expected.get("chats").get(0);
        Heard heard = new Heard();
        QloraStreamingChatModel.builder()
                .service(service)
                .temperature(0)
                .maxOutputTokens(24)
                .build()
                .chat(messages(chat), heard);
        ChatResponse whole = heard.response.get(60, TimeUnit.SECONDS);
        assertThat(heard.text.toString()).isEqualTo(chat.get("text").asString());
        assertThat(heard.pieces).isGreaterThan(5);
        assertThat(whole.aiMessage().text()).isEqualTo(chat.get("text").asString());
        assertThat(whole.tokenUsage().totalTokenCount()).isEqualTo(24 + chat.get("ids").size());
        assertThat(whole.finishReason()).isEqualTo(FinishReason.LENGTH);
    }

    /** A handler that throws is told so and goes on; one that cancels hears no more. */
    @Test
    void handlerThatThrowsOrCancels_doesNotHoldUpTheService() throws Exception {
        QloraStreamingChatModel chatModel =
                QloraStreamingChatModel.builder().service(service).temperature(0).build();
        CountDownLatch errors = new CountDownLatch(2);
        CountDownLatch whole = new CountDownLatch(1);
        chatModel.chat(
                "Once",
                new StreamingChatResponseHandler() {
                    @Override
                    public void onPartialResponse(String piece) {
                        throw new IllegalStateException("no");
                    }

                    @Override
                    public void onCompleteResponse(ChatResponse response) {
                        whole.countDown();
                    }

                    @Override
                    public void onError(Throwable failure) {
                        errors.countDown();
                    }
                });
        assertThat(errors.await(60, TimeUnit.SECONDS)).isTrue();
        assertThat(whole.await(60, TimeUnit.SECONDS)).isTrue();
        List<String> pieces = new ArrayList<>();
        CountDownLatch cancelled = new CountDownLatch(1);
        long before = service.counts().cancelled();
        chatModel.chat(
                "Once",
                new StreamingChatResponseHandler() {
                    @Override
                    public void onPartialResponse(
                            PartialResponse piece, PartialResponseContext context) {
                        pieces.add(piece.text());
                        context.streamingHandle().cancel();
                        assertThat(context.streamingHandle().isCancelled()).isTrue();
                        cancelled.countDown();
                    }

                    @Override
                    public void onCompleteResponse(ChatResponse response) {
                        pieces.add("whole");
                    }

                    @Override
                    public void onError(Throwable failure) {
                        pieces.add("error");
                    }
                });
        assertThat(cancelled.await(60, TimeUnit.SECONDS)).isTrue();
        assertThat(greedy(service).build().chat("Once")).isNotEmpty(); // it goes on
        assertThat(service.counts().cancelled()).isBetween(before, before + 1);
        assertThat(pieces).hasSize(1);
    }

    /** What an assistant can do. */
    public static final class Door {
        private final List<Boolean> asked = new ArrayList<>();

        @Tool("Opens or shuts the door")
        public String door(@P(name = "shut", value = "or opened") boolean shut) {
            asked.add(shut);
            return shut ? "it is shut" : "it is open";
        }
    }

    private interface Assistant {
        String chat(String message);
    }

    private interface StreamingAssistant {
        TokenStream chat(String message);
    }

    /** A model of random weights calls nothing by itself: it must, until there is a result. */
    private static ChatRequest forced(ChatRequest request) {
        boolean done =
                request.messages().stream().anyMatch(ToolExecutionResultMessage.class::isInstance);
        return request.toBuilder()
                .parameters(
                        request.parameters()
                                .overrideWith(
                                        ChatRequestParameters.builder()
                                                .toolChoice(
                                                        done
                                                                ? ToolChoice.NONE
                                                                : ToolChoice.REQUIRED)
                                                .build()))
                .build();
    }

    @Test
    void assistantOfAiServices_callsItsTool() {
        Door door = new Door();
        MessageWindowChatMemory memory = MessageWindowChatMemory.withMaxMessages(10);
        Assistant assistant =
                AiServices.builder(Assistant.class)
                        .chatModel(
                                QloraChatModel.builder()
                                        .service(toolService)
                                        .temperature(0)
                                        .build())
                        .chatMemory(memory)
                        .tools(door)
                        .chatRequestTransformer(LangChain4jTest::forced)
                        .build();
        String answer = assistant.chat("Hi");
        assertThat(door.asked).hasSize(1);
        List<ChatMessage> messages = memory.messages();
        assertThat(messages).hasSize(4);
        AiMessage call = (AiMessage) messages.get(1);
        assertThat(call.toolExecutionRequests()).hasSize(1);
        assertThat(call.toolExecutionRequests().getFirst().name()).isEqualTo("door");
        ToolExecutionResultMessage result = (ToolExecutionResultMessage) messages.get(2);
        assertThat(result.text()).isEqualTo(door.asked.getFirst() ? "it is shut" : "it is open");
        assertThat(((AiMessage) messages.get(3)).text()).isEqualTo(answer);
        // the template writes the call and its result into the prompt of the second answer
        String prompt =
                "Hi<tool_call>door%s</tool_call>%s"
                        .formatted(door.asked.getFirst() ? "True" : "False", result.text());
        assertThat(answer)
                .isEqualTo(
                        toolModel
                                .generate(
                                        List.of(Map.of("role", "user", "content", prompt)),
                                        GenerationConfig.DEFAULT.withMaxNewTokens(64),
                                        text -> {})
                                .text());
    }

    @Test
    void streamOfAiServices_tellsTheCallWhole() throws Exception {
        Door door = new Door();
        CompletableFuture<ChatResponse> whole = new CompletableFuture<>();
        StringBuilder text = new StringBuilder();
        AiServices.builder(StreamingAssistant.class)
                .streamingChatModel(
                        QloraStreamingChatModel.builder()
                                .service(toolService)
                                .temperature(0)
                                .build())
                .tools(door)
                .chatRequestTransformer(LangChain4jTest::forced)
                .build()
                .chat("Hi")
                .onPartialResponse(text::append)
                .onCompleteResponse(whole::complete)
                .onError(whole::completeExceptionally)
                .start();
        String said = whole.get(60, TimeUnit.SECONDS).aiMessage().text();
        assertThat(door.asked).hasSize(1);
        assertThat(text.toString()).isEqualTo(said).doesNotContain("tool_call");
    }

    @Test
    void streamedCall_isOneEvent() throws Exception {
        Heard heard = new Heard();
        ChatRequest request =
                ChatRequest.builder()
                        .messages(UserMessage.from("Hi"))
                        .toolSpecifications(ToolSpecification.builder().name("none").build())
                        .toolChoice(ToolChoice.REQUIRED)
                        .build();
        QloraStreamingChatModel.builder()
                .service(toolService)
                .temperature(0)
                .build()
                .chat(request, heard);
        ChatResponse whole = heard.response.get(60, TimeUnit.SECONDS);
        assertThat(whole.finishReason()).isEqualTo(FinishReason.TOOL_EXECUTION);
        assertThat(whole.aiMessage().text()).isNull();
        assertThat(heard.text.toString()).isEmpty();
        assertThat(heard.calls).hasSize(1);
        assertThat(heard.calls.getFirst().toolExecutionRequest())
                .isEqualTo(whole.aiMessage().toolExecutionRequests().getFirst());
    }

    /** How sure a judge is. */
    enum Mood {
        GOOD,
        BAD
    }

    record Verdict(Mood mood, boolean sure) {}

    private interface Judge {
        Verdict judge(String text);
    }

    /** LangChain4j sends the schema of a return type, since the model says that it keeps one. */
    @ParameterizedTest
    @CsvSource({"0", "1.5"})
    void returnTypeOfAiServices_isKeptAtEveryTemperature(double temperature) {
        ChatModel chatModel =
                QloraChatModel.builder()
                        .service(toolService)
                        .temperature(temperature)
                        .seed(3)
                        .build();
        Verdict verdict = AiServices.create(Judge.class, chatModel).judge("Hm");
        assertThat(verdict).isNotNull(); // it could be read; no property is required
    }

    @Test
    void texts_areEmbeddedAsTheServiceDoes() {
        QloraEmbeddingModel embedding = QloraEmbeddingModel.builder().service(service).build();
        Response<List<Embedding>> out =
                embedding.embedAll(List.of(TextSegment.from("the sea"), TextSegment.from("a")));
        assertThat(out.content().get(0).vector())
                .isEqualTo(service.embed(null, new Prompt.Raw("the sea")).vector());
        assertThat(out.content().get(1).vector()).hasSize(embedding.dimension());
        assertThat(embedding.dimension()).isEqualTo(32);
        assertThat(Objects.requireNonNull(out.tokenUsage()).inputTokenCount()).isGreaterThan(2);
        QloraEmbeddingModel pirate =
                QloraEmbeddingModel.builder().service(service).modelName("pirate").build();
        assertThat(pirate.embed("the sea").content().vector())
                .isEqualTo(service.embed("pirate", new Prompt.Raw("the sea")).vector())
                .isNotEqualTo(out.content().get(0).vector());
        assertThatThrownBy(() -> embedding.embed("a ".repeat(200)))
                .isInstanceOf(InvalidRequestException.class)
                .hasMessageContaining("context of 64");
    }

    @Test
    void faults_areLangChain4jsExceptions() throws Exception {
        ChatModel chatModel = greedy(service).build();
        assertThatThrownBy(() -> chatModel.chat("a ".repeat(200)))
                .isInstanceOf(InvalidRequestException.class)
                .hasMessageContaining("context of 64");
        assertThatThrownBy(() -> greedy(service).topP(2).build().chat("Hi"))
                .isInstanceOf(InvalidRequestException.class)
                .hasMessageContaining("top_p must be in [0, 1]");
        assertThatThrownBy(() -> greedy(service).modelName("parrot").build().chat("Hi"))
                .isInstanceOf(ModelNotFoundException.class)
                .hasMessage("there is no adapter parrot; the service has [pirate]");
        assertThatThrownBy(
                        () -> chatModel.chat(UserMessage.from(ImageContent.from("file:///a.png"))))
                .isInstanceOf(UnsupportedFeatureException.class)
                .hasMessageContaining("IMAGE");
        assertThatThrownBy(() ->
                        chatModel.chat(
                                ChatRequest.builder()
                                        .messages(UserMessage.from("Hi"))
                                        .toolSpecifications(
                                                ToolSpecification.builder().name("f").build())
                                        .build()))
                .isInstanceOf(UnsupportedFeatureException.class)
                .hasMessageContaining("writes no tools");
        assertThatThrownBy(() -> greedy(service).timeout(Duration.ofNanos(1)).build().chat("Hi"))
                .isInstanceOf(TimeoutException.class);
        assertThatThrownBy(() -> QloraChatModel.builder().build())
                .isInstanceOf(NullPointerException.class)
                .hasMessage("service must not be null");
        Heard heard = new Heard();
        try (LanguageModel own = LanguageModel.load(TINY, F32)) {
            TextService closed = own.serve(new ServiceConfig(1, 16, 1));
            closed.close();
            assertThatThrownBy(() -> greedy(closed).build().chat("Hi"))
                    .isInstanceOf(RateLimitException.class);
            QloraStreamingChatModel.builder().service(closed).build().chat("Hi", heard);
            assertThatThrownBy(() -> heard.response.get(60, TimeUnit.SECONDS))
                    .cause()
                    .isInstanceOf(RateLimitException.class);
        }
    }
}
