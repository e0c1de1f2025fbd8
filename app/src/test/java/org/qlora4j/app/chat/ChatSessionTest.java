package org.qlora4j.app.chat;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.LanguageModel;
import org.qlora4j.ServiceConfig;
import org.qlora4j.TextService;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;

/** With the small model; its answers are those of transformers and PEFT. */
class ChatSessionTest {
    private static final Path TINY = Path.of("../core/src/test/resources/tiny-llama");
    private static final QuantConfig F32 =
            new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);

    @TempDir Path temporary;

    private final StringWriter out = new StringWriter();
    private LanguageModel model;
    private TextService service;
    private int width;
    private ChatSession session;
    private JsonNode expected;

    @BeforeEach
    void load() throws IOException {
        expected = JsonMapper.shared().readTree(Files.readAllBytes(TINY.resolve("expected.json")));
        model = LanguageModel.load(TINY, F32);
        service = model.serve(new ServiceConfig(2, 16, 2));
        session =
                new ChatSession(
                        service,
                        null,
                        null,
                        GenerationConfig.DEFAULT.withMaxNewTokens(24),
                        new PrintWriter(out),
                        () -> width);
    }

    @AfterEach
    void free() {
        service.close();
        model.close();
    }

    /** Plays a chat of the expected ones up to its last message, by loading what is before it. */
    private String ask(JsonNode chat, String command) throws IOException {
        JsonNode messages = chat.get("messages");
        int last = messages.size() - 1;
        session.take("/reset");
        if (last == 1 && "system".equals(messages.get(0).get("role").asString())) {
            session.take("/system " + messages.get(0).get("content").asString());
        } else if (last > 0) {
            Path file = Files.createTempFile(temporary, "chat", ".json");
            String before = JsonMapper.shared().writeValueAsString(messages);
            JsonNode cut = JsonMapper.shared().readTree(before);
            ((ArrayNode) cut).remove(last);
            Files.writeString(file, "{\"messages\": %s}".formatted(cut));
            session.take("/load " + file);
        }
        out.getBuffer().setLength(0);
        assertThat(session.take(command + messages.get(last).get("content").asString())).isTrue();
        return out.toString();
    }

    @Test
    void messages_areAnsweredAsByTransformers() throws IOException {
        for (JsonNode chat : expected.get("chats")) {
            assertThat(ask(chat, "")).startsWith(chat.get("text").asString());
        }
    }

    @Test
    void compare_answersWithAndWithoutTheAdapter() throws IOException {
        session.take("/adapter pirate=" + TINY.resolve("adapter"));
        JsonNode chat = expected.get("chats").get(0);
        JsonNode adapted = expected.get("adapter_chats").get(0);
        assertThat(adapted.get("messages")).isEqualTo(chat.get("messages"));
        assertThat(ask(chat, "/compare "))
                .contains("-- base\n" + chat.get("text").asString())
                .contains("-- pirate\n" + adapted.get("text").asString());
        assertThat(ask(chat, "")).startsWith(adapted.get("text").asString());
        session.take("/adapter none");
        assertThat(ask(chat, "")).startsWith(chat.get("text").asString());
        session.take("/adapter pirate");
        assertThat(ask(chat, "")).startsWith(adapted.get("text").asString());
    }

    @Test
    void compare_standsBesideEachOtherWhereThereIsRoom() throws IOException {
        session.take("/adapter pirate=" + TINY.resolve("adapter"));
        width = 64;
        JsonNode chat = expected.get("chats").get(0);
        List<String> rows = ask(chat, "/compare ").lines().toList();
        assertThat(rows.getFirst()).isEqualTo("base" + " ".repeat(26) + " | pirate");
        assertThat(rows.get(1)).isEqualTo("-".repeat(30) + " | " + "-".repeat(30));
        StringBuilder left = new StringBuilder();
        StringBuilder right = new StringBuilder();
        for (String row : rows.subList(2, rows.size())) {
            assertThat(row.length()).isLessThan(width);
            String[] sides = row.split(" \\| ", 2);
            left.append(sides[0].replace(" ", ""));
            right.append(sides.length < 2 ? "" : sides[1].replace(" ", ""));
        }
        assertThat(left.toString()).startsWith(squeezed(chat));
        assertThat(right.toString()).startsWith(squeezed(expected.get("adapter_chats").get(0)));
    }

    private static String squeezed(JsonNode chat) {
        return chat.get("text").asString().replaceAll("[ \n\t]", "");
    }

    @Test
    void interruption_endsTheAnswerAndTheConversationGoesOn() throws InterruptedException {
        session.take("/set max_new_tokens 100000");
        session.take("/set no_repeat_ngram_size 0");
        Thread user =
                new Thread(() -> {
                    while (out.getBuffer().length() < 80) {
                        Thread.onSpinWait();
                    }
                    session.interrupt();
                });
        user.start();
        session.take("Hi");
        user.join();
        assertThat(out.toString()).containsAnyOf("(stopped", "context is full");
        session.take("/set max_new_tokens 2");
        session.take("And now?");
        assertThat(out.toString()).contains("cut off after 2 tokens");
    }

    @Test
    void savedConversation_isLoadedAgain() throws IOException {
        session.take("/system be brief");
        session.take("/set max_new_tokens 3");
        session.take("Hi");
        Path file = temporary.resolve("talk.jsonl");
        session.take("/save " + file);
        JsonNode messages = JsonMapper.shared().readTree(Files.readString(file)).get("messages");
        assertThat(messages.size()).isEqualTo(3);
        assertThat(messages.get(0).get("content").asString()).isEqualTo("be brief");
        session.take("And?");
        session.take("/save"); // to the same
        assertThat(out.toString()).contains("5 messages in " + file);
        session.take("/reset");
        session.take("/save " + file);
        assertThat(out.toString()).contains("exists; name another file");
        session.take("/load " + file);
        assertThat(out.toString()).contains("4 messages and a system message; the last: assistant");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "/nothing | there is no command /nothing",
                "/compare a | there is no adapter to compare with",
                "/adapter /nowhere | /nowhere is neither a folder nor an adapter that is loaded",
                "/set temperature x | temperature must be a number, got 'x'",
                "/set temperature -1 | generation.temperature must be above 0",
                "/set temprature 1 | there is no setting temprature; did you mean temperature?",
                "/load /nowhere | /nowhere cannot be read: no such file or folder",
                "/save | /save needs a file",
            })
    void mistakes_areToldAndTheConversationGoesOn(String line, String message) {
        assertThat(session.take(line)).isTrue();
        assertThat(out.toString()).startsWith(message);
    }

    @Test
    void set_changesHowAnswersAreMade() {
        session.take("/set max_new_tokens 2");
        session.take("Hi");
        assertThat(out.toString()).contains("cut off after 2 tokens");
        session.take("/set temperature 0.5");
        session.take("/set");
        assertThat(out.toString())
                .containsPattern("max_new_tokens +2\n")
                .containsPattern("do_sample +true\n")
                .containsPattern("temperature +0.5\n");
        assertThat(session.take("/quit")).isFalse();
    }
}
