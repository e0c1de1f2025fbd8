package org.qlora4j;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.qlora4j.ask.CallSettings;
import org.qlora4j.ask.ChatCall;
import org.qlora4j.ask.ChatMessage;
import org.qlora4j.ask.ChatModel;
import org.qlora4j.ask.ChatReply;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Token;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A model of this process that is asked many things; texts are those that transformers gives. */
class LocalChatModelTest {
    private static final QuantConfig F32 =
            new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);
    private static final CallSettings GREEDY = new CallSettings(0, 1, 24, 0, List.of());

    private static LanguageModel model;
    private static ChatModel asked;
    private static JsonNode chats;

    @BeforeAll
    static void load() throws IOException {
        chats =
                new JsonMapper()
                        .readTree(Files.readString(TinyLlama.folder().resolve("expected.json")))
                        .get("chats");
        model = LanguageModel.load(TinyLlama.folder(), F32);
        asked = model.asChatModel("tiny", "tiny 1", 4);
    }

    @AfterAll
    static void close() {
        asked.close();
        model.close();
    }

    private static List<ChatMessage> messages(JsonNode chat) {
        List<ChatMessage> out = new ArrayList<>();
        for (JsonNode message : chat.get("messages")) {
            out.add(
                    new ChatMessage(
                            message.get("role").asString(), message.get("content").asString()));
        }
        return out;
    }

    private static Map<Integer, ChatReply> replies(List<ChatCall> calls) {
        Map<Integer, ChatReply> out = new TreeMap<>();
        asked.answer(calls, (i, reply) -> assertThat(out.put(i, reply)).isNull());
        assertThat(out).hasSameSizeAs(calls);
        return out;
    }

    @Test
    void repliesAndTokens_areThoseOfTransformers() {
        List<ChatCall> calls = new ArrayList<>();
        chats.forEach(chat -> calls.add(ChatCall.chat(messages(chat), GREEDY)));
        replies(calls)
                .forEach((i, reply) -> {
                    assertThat(reply.text()).isEqualTo(chats.get(i).get("text").asString());
                    assertThat(reply.promptTokens()).isEqualTo(chats.get(i).get("ids").size());
                    assertThat(asked.promptTokens(calls.get(i))).isEqualTo(reply.promptTokens());
                });
    }

    /** The likeliest label is how transformers begins; its probability is that of generating it. */
    @Test
    void label_isChosenByItsProbability() throws Exception {
        for (JsonNode chat : chats) {
            String likely = chat.get("text").asString().substring(0, 1); // one token
            List<String> labels = List.of("2", "B", likely, "1");
            List<ChatCall> calls = List.of(ChatCall.choice(messages(chat), labels, GREEDY));
            ChatReply reply = requireNonNull(replies(calls).get(0));
            assertThat(reply.text()).isEqualTo(likely);
            assertThat(reply.finishReason()).isEqualTo("label");
            assertThat(reply.logProbabilities().get(2))
                    .isCloseTo(generated(chat, likely), within(1e-4));
        }
    }

    /** log p of the tokens of a beginning, as they are told one by one while it is generated. */
    private static double generated(JsonNode chat, String beginning) throws Exception {
        CompletableFuture<Double> sum = new CompletableFuture<>();
        GenerationConfig config =
                GenerationConfig.builder().maxNewTokens(8).doSample(false).logprobs(0).build();
        List<Map<String, Object>> messages = ChatCall.chat(messages(chat), GREEDY).messagesJson();
        try (TextService service = model.serve(new ServiceConfig(1, 16, 4))) {
            service.submit(
                    new TextRequest(null, new Prompt.Chat(messages), config),
                    new TextListener() {
                        private final StringBuilder text = new StringBuilder();
                        private double logs;

                        @Override
                        public void token(Token token, String piece) {
                            logs += text.length() < beginning.length() ? token.logprob() : 0;
                            text.append(piece);
                        }

                        @Override
                        public void ended(String rest, Answer answer) {
                            sum.complete(logs);
                        }

                        @Override
                        public void failed(RuntimeException failure) {
                            sum.completeExceptionally(failure);
                        }
                    });
            return sum.get();
        }
    }

    @Test
    void mistakes_areToldAtOnce() {
        assertThatThrownBy(() -> model.asChatModel("tiny", "1", 0))
                .isInstanceOf(ConfigException.class)
                .hasMessage("batch must be at least 1, got 0");
        ChatCall tooLong =
                ChatCall.choice(
                        List.of(ChatMessage.user("x ".repeat(2000))), List.of("1", "2"), GREEDY);
        assertThatThrownBy(() -> asked.answer(List.of(tooLong), (i, r) -> {}))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("prompt 1");
    }
}
