package org.qlora4j.springai;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import io.micrometer.observation.ObservationRegistry;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.AnswerTimeoutException;
import org.qlora4j.LanguageModel;
import org.qlora4j.Prompt.Raw;
import org.qlora4j.TextService;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.springai.QloraChatOptions.ToolChoice;
import org.springframework.ai.chat.client.AdvisorParams;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.SystemMessage;
import org.springframework.ai.chat.messages.UserMessage;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.model.ChatResponse;
import org.springframework.ai.chat.observation.ChatModelObservationContext;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.Prompt;
import org.springframework.ai.content.Media;
import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.embedding.EmbeddingOptions;
import org.springframework.ai.embedding.EmbeddingRequest;
import org.springframework.ai.embedding.EmbeddingResponse;
import org.springframework.ai.support.ToolCallbacks;
import org.springframework.ai.tool.annotation.Tool;
import org.springframework.ai.tool.annotation.ToolParam;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.util.MimeTypeUtils;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * An application of Spring Boot over a model of 27,000 weights; texts are those that transformers
 * and PEFT give.
 */
class SpringAiTest {
    private static final Path TINY = Path.of("../core/src/test/resources/tiny-llama");
    private static final String WITH_TOOLS =
            """
            {%- for t in tools or [] %}{{ t.function.name }}{% endfor -%}
            {%- for m in messages %}{{ m.content }}{%- for c in m.tool_calls or [] -%}
            <tool_call>{{ c.function.name }}{{ c.function.arguments.shut }}</tool_call>{% endfor -%}
            {% endfor -%}
            """;

    @TempDir static Path folder;

    private static JsonNode expected;
    private static ConfigurableApplicationContext application;
    private static ConfigurableApplicationContext withTools; // the same weights
    private static ChatClient client;
    private static TextService service;

    /** An application that does nothing by itself. */
    @SpringBootConfiguration
    @EnableAutoConfiguration
    static class Application {
        @Bean
        List<String> observed() {
            return new CopyOnWriteArrayList<>();
        }

        @Bean
        ObservationRegistry registry(List<String> observed) {
            ObservationRegistry out = ObservationRegistry.create();
            out.observationConfig()
                    .observationHandler(
                            new ObservationHandler<ChatModelObservationContext>() {
                                @Override
                                public void onStop(ChatModelObservationContext context) {
                                    ChatResponse response = context.getResponse();
                                    observed.add(
                                            context.getLowCardinalityKeyValues()
                                                    + (response == null ? "" : text(response)));
                                }

                                @Override
                                public boolean supportsContext(Observation.Context context) {
                                    return context instanceof ChatModelObservationContext;
                                }
                            });
            return out;
        }
    }

    private static ConfigurableApplicationContext run(String... properties) {
        String[] all =
                Stream.concat(
                                Arrays.stream(properties),
                                Stream.of(
                                        "spring.main.banner-mode=off",
                                        "spring.ai.qlora4j.load-in-4bit=false",
                                        "spring.ai.qlora4j.compute-dtype=float32",
                                        "spring.ai.qlora4j.chat.temperature=0",
                                        "spring.ai.qlora4j.service.streams=3",
                                        "spring.ai.qlora4j.service.prompt-positions=16",
                                        "spring.ai.qlora4j.service.kv-cache-memory=64MB"))
                        .toArray(String[]::new);
        return new SpringApplicationBuilder(Application.class)
                .web(WebApplicationType.NONE)
                .properties(all)
                .run();
    }

    @BeforeAll
    static void start() throws Exception {
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
        application =
                run(
                        "spring.ai.qlora4j.model=" + TINY,
                        "spring.ai.qlora4j.adapters.pirate=" + TINY.resolve("adapter"),
                        "spring.ai.qlora4j.chat.max-tokens=24");
        withTools = run("spring.ai.qlora4j.model=" + folder);
        client = application.getBean(ChatClient.Builder.class).build();
        service = application.getBean(TextService.class);
    }

    @AfterAll
    static void end() {
        withTools.close();
        application.close();
        assertThatThrownBy(() -> service.embed(null, new Raw("a"))).hasMessageContaining("closed");
    }

    private static List<Message> messages(JsonNode chat) {
        List<Message> out = new ArrayList<>();
        for (JsonNode message : chat.get("messages")) {
            String text = message.get("content").asString();
            out.add(
                    switch (message.get("role").asString()) {
                        case "system" -> new SystemMessage(text);
                        case "assistant" -> new AssistantMessage(text);
                        default -> new UserMessage(text);
                    });
        }
        return out;
    }

    private static String text(ChatResponse response) {
        return String.valueOf(Objects.requireNonNull(response.getResult()).getOutput().getText());
    }

    private static void check(ChatResponse response, JsonNode chat, String name) {
        assertThat(response.getMetadata().getModel()).isEqualTo(name);
        assertThat(response.getMetadata().getUsage().getPromptTokens())
                .isEqualTo(chat.get("ids").size());
        assertThat(response.getMetadata().getUsage().getCompletionTokens())
                .isEqualTo(chat.get("new_ids").size());
        assertThat(Objects.requireNonNull(response.getResult()).getMetadata().getFinishReason())
                .isEqualTo(chat.get("new_ids").size() == 24 ? "LENGTH" : "STOP");
    }

    @ParameterizedTest
    @CsvSource({"base, chats", "pirate, adapter_chats"})
    void chatsOfTheClient_areAnsweredAsByTransformersAndPeft(String name, String key) {
        for (JsonNode chat : expected.get(key)) {
            ChatClient.ChatClientRequestSpec asked =
                    client.prompt()
                            .messages(messages(chat))
                            .options(ChatOptions.builder().model(name));
            ChatResponse response = Objects.requireNonNull(asked.call().chatResponse());
            assertThat(text(response)).isEqualTo(chat.get("text").asString());
            check(response, chat, name);
            List<ChatResponse> pieces =
                    Objects.requireNonNull(asked.stream().chatResponse().collectList().block());
            assertThat(pieces).hasSizeGreaterThan(2);
            assertThat(String.join("", pieces.stream().map(SpringAiTest::text).toList()))
                    .isEqualTo(chat.get("text").asString());
            check(pieces.getLast(), chat, name);
        }
        assertThat(application.getBean("observed", List.class))
                .anyMatch(seen ->
                        seen.toString().contains("qlora4j")
                                && seen.toString()
                                        .endsWith(expected.get(key).get(0).get("text").asString()));
    }

    @Test
    void options_areKeptAndGoBeforeThoseOfTheModel() {
        ChatModel model = application.getBean(ChatModel.class);
        JsonNode chat = expected.get("adapter_chats").get(0);
        String text = chat.get("text").asString();
        String stop = text.substring(3, 5);
        Prompt portable =
                new Prompt(
                        messages(chat),
                        ChatOptions.builder().model("pirate").stopSequences(List.of(stop)).build());
        assertThat(text(model.call(portable))).isEqualTo(text.substring(0, text.indexOf(stop)));
        QloraChatOptions drawn =
                QloraChatOptions.builder()
                        .temperature(1.5)
                        .topP(0.95)
                        .topK(100)
                        .minP(1e-6)
                        .repetitionPenalty(1.1)
                        .frequencyPenalty(0.1)
                        .presencePenalty(0.1)
                        .maxTokens(12)
                        .seed(5L)
                        .build();
        assertThat(drawn.mutate().build()).isEqualTo(drawn).hasSameHashCodeAs(drawn);
        assertThat(QloraChatOptions.builder().seed(6L).combineWith(drawn.mutate()).build())
                .isEqualTo(drawn);
        String first = text(model.call(new Prompt("Once", drawn)));
        assertThat(text(model.call(new Prompt("Once", drawn)))).isEqualTo(first);
        assertThat(text(model.call(new Prompt("Once", drawn.mutate().seed(6L).build()))))
                .isNotEqualTo(first);
    }

    @Test
    void streamThatIsLeft_endsItsAnswer() throws Exception {
        long before = service.counts().cancelled();
        ChatModel model = application.getBean(ChatModel.class);
        Prompt untilFull = new Prompt("Once", QloraChatOptions.builder().temperature(0.0).build());
        assertThat(model.stream(untilFull).take(1).collectList().block()).hasSize(1);
        for (int i = 0; i < 500 && service.running() > 0; i++) {
            Thread.sleep(10);
        }
        assertThat(service.running()).isZero();
        assertThat(service.counts().cancelled()).isBetween(before, before + 1);
        assertThat(model.call("Once")).isNotEmpty(); // it goes on
    }

    /** What an assistant can do. */
    static final class Door {
        private final List<Boolean> asked = new CopyOnWriteArrayList<>();

        @Tool(description = "Opens or shuts the door")
        String door(@ToolParam(description = "or opened") boolean shut) {
            asked.add(shut);
            return shut ? "it is shut" : "it is open";
        }
    }

    @ParameterizedTest
    @CsvSource({"false", "true"})
    void client_callsItsToolAndAsksAgain(boolean streamed) {
        Door door = new Door();
        ChatClient.ChatClientRequestSpec asked =
                withTools
                        .getBean(ChatClient.Builder.class)
                        .build()
                        .prompt("Hi")
                        .options(QloraChatOptions.builder().toolChoice(ToolChoice.REQUIRED))
                        .tools(door);
        String answer =
                streamed
                        ? String.join(
                                "",
                                Objects.requireNonNull(
                                        asked.stream().content().collectList().block()))
                        : asked.call().content();
        assertThat(door.asked).hasSize(1);
        // the template writes tool, call and result into the prompt of the second answer
        String prompt =
                "doorHi<tool_call>door%s</tool_call>\"%s\""
                        .formatted(
                                door.asked.getFirst() ? "True" : "False",
                                door.asked.getFirst() ? "it is shut" : "it is open");
        assertThat(answer)
                .isEqualTo(
                        withTools
                                .getBean(LanguageModel.class)
                                .generate(
                                        List.of(Map.of("role", "user", "content", prompt)),
                                        GenerationConfig.DEFAULT.withMaxNewTokens(64),
                                        text -> {})
                                .text());
    }

    @Test
    void call_isToldWholeWhereNobodyExecutesIt() {
        ChatModel model = withTools.getBean(ChatModel.class);
        QloraChatOptions options =
                QloraChatOptions.builder()
                        .toolChoice(ToolChoice.REQUIRED)
                        .toolCallbacks(ToolCallbacks.from(new Door()))
                        .build();
        ChatResponse response = model.call(new Prompt("Hi", options));
        assertThat(response.hasFinishReasons(Set.of("TOOL_CALLS"))).isTrue();
        AssistantMessage.ToolCall call =
                Objects.requireNonNull(response.getResult()).getOutput().getToolCalls().getFirst();
        assertThat(call.name()).isEqualTo("door");
        assertThat(JsonMapper.shared().readTree(call.arguments()).get("shut").isBoolean()).isTrue();
        assertThat(
                        text(
                                model.call(
                                        new Prompt(
                                                "Hi",
                                                options.mutate()
                                                        .toolChoice(ToolChoice.NONE)
                                                        .build()))))
                .isEqualTo(model.call("Hi"));
        assertThatThrownBy(() ->
                        model.call(new Prompt("Hi", options.mutate().outputSchema("{}").build())))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("exclude each other");
    }

    /** How sure a judge is. */
    enum Mood {
        GOOD,
        BAD
    }

    record Verdict(Mood mood) {}

    @ParameterizedTest
    @CsvSource({"0", "1.5"})
    void entity_isKeptAtEveryTemperature(double temperature) {
        Verdict verdict =
                withTools
                        .getBean(ChatClient.Builder.class)
                        .build()
                        .prompt("Hm")
                        .options(QloraChatOptions.builder().temperature(temperature).seed(3L))
                        .advisors(AdvisorParams.ENABLE_NATIVE_STRUCTURED_OUTPUT)
                        .call()
                        .entity(Verdict.class);
        assertThat(Objects.requireNonNull(verdict).mood()).isIn(Mood.GOOD, Mood.BAD);
    }

    @Test
    void texts_areEmbeddedAsTheServiceDoes() {
        EmbeddingModel model = application.getBean(EmbeddingModel.class);
        float[] sea = service.embed(null, new Raw("the sea")).vector();
        EmbeddingResponse response = model.embedForResponse(List.of("the sea", "a"));
        assertThat(response.getResults().get(0).getOutput()).isEqualTo(sea);
        assertThat(response.getResults().get(1).getIndex()).isEqualTo(1);
        assertThat(response.getMetadata().getUsage().getPromptTokens()).isGreaterThan(2);
        assertThat(model.embed(new Document("the sea"))).isEqualTo(sea);
        assertThat(model.dimensions()).isEqualTo(32);
        EmbeddingRequest byPirate =
                new EmbeddingRequest(
                        List.of("the sea"), EmbeddingOptions.builder().model("pirate").build());
        assertThat(model.call(byPirate).getResult().getOutput())
                .isEqualTo(service.embed("pirate", new Raw("the sea")).vector())
                .isNotEqualTo(sea);
        assertThatThrownBy(() ->
                        model.call(
                                new EmbeddingRequest(
                                        List.of("a"),
                                        EmbeddingOptions.builder().dimensions(8).build())))
                .isInstanceOf(ConfigException.class)
                .hasMessage("texts have 32 dimensions, not 8");
    }

    @Test
    void faults_areToldInALine() {
        ChatModel model = application.getBean(ChatModel.class);
        assertThatThrownBy(() -> model.call("a ".repeat(200)))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("context of 64");
        Prompt strange = new Prompt("Hi", ChatOptions.builder().model("parrot").build());
        assertThatThrownBy(() -> model.call(strange))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("parrot");
        assertThatThrownBy(() -> model.stream(strange).blockLast())
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("parrot");
        UserMessage picture =
                UserMessage.builder()
                        .text("See")
                        .media(
                                Media.builder()
                                        .mimeType(MimeTypeUtils.IMAGE_PNG)
                                        .data(new byte[1])
                                        .build())
                        .build();
        assertThatThrownBy(() -> model.call(picture))
                .isInstanceOf(ConfigException.class)
                .hasMessage("a message holds media (image/png); models of this library read texts");
        assertThatThrownBy(() ->
                        QloraChatModel.builder()
                                .service(service)
                                .timeout(Duration.ofNanos(1))
                                .build()
                                .call("Hi"))
                .isInstanceOf(AnswerTimeoutException.class);
        assertThatThrownBy(() -> QloraChatModel.builder().build())
                .isInstanceOf(NullPointerException.class)
                .hasMessage("service must not be null");
    }

    @Test
    void adapterOfTheProperties_answersUnlessAnotherIsNamed() {
        try (ConfigurableApplicationContext own =
                run(
                        "spring.ai.qlora4j.model=" + TINY,
                        "spring.ai.qlora4j.adapter=" + TINY.resolve("adapter"),
                        "spring.ai.qlora4j.chat.max-tokens=24",
                        "spring.ai.model.embedding=none")) {
            JsonNode chat = expected.get("adapter_chats").get(0);
            ChatModel model = own.getBean(ChatModel.class);
            assertThat(text(model.call(new Prompt(messages(chat)))))
                    .isEqualTo(chat.get("text").asString());
            assertThat(own.getBeansOfType(EmbeddingModel.class)).isEmpty();
        }
        try (ConfigurableApplicationContext without = run()) {
            assertThat(without.getBeansOfType(LanguageModel.class)).isEmpty();
            assertThat(without.getBeansOfType(ChatModel.class)).isEmpty();
        }
    }
}
