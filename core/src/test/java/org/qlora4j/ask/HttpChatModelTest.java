package org.qlora4j.ask;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.qlora4j.ask.StubServer.Fault;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import tools.jackson.databind.JsonNode;

class HttpChatModelTest {
    private static final CallSettings SETTINGS = new CallSettings(0, 1, 8, 0, List.of());

    @TempDir Path folder;

    private static String echo(JsonNode body) {
        JsonNode last = body.path("messages").path(body.path("messages").size() - 1);
        return "re: " + last.path("content").asString(body.path("prompt").asString(""));
    }

    private static HttpChatModel model(StubServer server, int concurrency, int retries) {
        return model(server, concurrency, retries, Duration.ofMinutes(1));
    }

    private static HttpChatModel model(
            StubServer server, int concurrency, int retries, Duration timeout) {
        return new HttpChatModel(
                HttpConfig.of(server.address(), "judge", null)
                        .asked(concurrency, 0, timeout, retries)
                        .waiting(Duration.ofMillis(10)));
    }

    private static List<ChatCall> calls(int count) {
        return IntStream.range(0, count)
                .mapToObj(i -> ChatCall.chat(List.of(ChatMessage.user("q" + i)), SETTINGS))
                .toList();
    }

    /** Every kind of fault that passes, several times, while eight ask at once. */
    @Test
    void faultsThatPass_costNoReplyAndDoubleNone() {
        Fault[] faults = {
            Fault.DISCONNECT, Fault.NONE, Fault.CUT_BODY, Fault.SERVER_ERROR, Fault.NONE,
            Fault.NO_JSON, Fault.LIMIT, Fault.NO_CHAT, Fault.SILENCE, Fault.DISCONNECT,
            Fault.SILENCE_AFTER_THE_HEADERS, Fault.NONE, Fault.LIMIT_UNTIL_A_DATE, Fault.CUT_BODY
        };
        try (StubServer server =
                        new StubServer(
                                HttpChatModelTest::echo,
                                n -> n < faults.length ? faults[n] : Fault.NONE);
                HttpChatModel model = model(server, 8, 20, Duration.ofMillis(700))) {
            Map<Integer, String> replies = new TreeMap<>();
            List<Integer> told = new ArrayList<>();
            model.answer(
                    calls(60),
                    (i, reply) -> {
                        told.add(i);
                        replies.put(i, reply.text());
                    });
            assertThat(told).hasSize(60).doesNotHaveDuplicates();
            assertThat(replies).allSatisfy((i, text) -> assertThat(text).isEqualTo("re: q" + i));
            assertThat(server.delivered()).hasSize(60);
            assertThat(model.troubles())
                    .contains("rate limits (429)", "timeouts", "broken connections")
                    .contains("server errors", "replies that were no JSON");
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"LIMIT", "SERVER_ERROR", "DISCONNECT"})
    void faultThatStays_endsWithWhatToDo(Fault fault) {
        try (StubServer server = new StubServer(HttpChatModelTest::echo, n -> fault);
                HttpChatModel model = model(server, 1, fault == Fault.LIMIT ? 1 : 3)) {
            assertThatThrownBy(() -> model.answer(calls(2), (i, r) -> {}))
                    .isInstanceOf(DeviceException.class)
                    .hasMessageContaining(server.address())
                    .hasMessageContaining("the same command goes on");
            assertThat(server.requests()).isEqualTo(fault == Fault.LIMIT ? 2 : 4);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"NO_KEY", "NO_MONEY"})
    void refusal_isNotTriedAgain(Fault fault) {
        try (StubServer server = new StubServer(HttpChatModelTest::echo, n -> fault);
                HttpChatModel model = model(server, 1, 5)) {
            assertThatThrownBy(() -> model.answer(calls(3), (i, r) -> {}))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining(fault == Fault.NO_KEY ? "no such key" : "pay first");
            assertThat(server.requests()).isEqualTo(1);
        }
    }

    /** A lower bound on time alone, which no slow machine breaks. */
    @Test
    void limit_holdsRequestsBackAsLongAsItSays() {
        try (StubServer server =
                        new StubServer(
                                HttpChatModelTest::echo, n -> n == 0 ? Fault.LIMIT : Fault.NONE);
                HttpChatModel model = model(server, 1, 3)) {
            long start = System.nanoTime();
            model.answer(calls(2), (i, r) -> {});
            assertThat(Duration.ofNanos(System.nanoTime() - start))
                    .isGreaterThanOrEqualTo(Duration.ofMillis(200));
            assertThat(server.requests()).isEqualTo(3);
        }
    }

    @Test
    void rawPrompt_goesToCompletions() {
        try (StubServer server = new StubServer(HttpChatModelTest::echo, n -> Fault.NONE);
                HttpChatModel model = model(server, 1, 0)) {
            List<String> replies = new ArrayList<>();
            model.answer(
                    List.of(ChatCall.raw("### Human: hi ### Assistant:", SETTINGS)),
                    (i, r) -> replies.add(r.text()));
            assertThat(replies).containsExactly("re: ### Human: hi ### Assistant:");
        }
    }

    @Test
    void key_isNotSentInClearToOtherMachines() {
        assertThatThrownBy(() -> HttpConfig.of("http://judge.example/v1", "m", "secret"))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("use https");
    }

    /** The journal keeps what came before a failure; asked again, only the rest is. */
    @Test
    void journal_goesOnBehindAFailureAndACutLine() throws Exception {
        Path file = folder.resolve("a.calls.jsonl");
        List<ChatCall> calls = calls(5);
        try (StubServer server =
                        new StubServer(
                                HttpChatModelTest::echo, n -> n == 3 ? Fault.NO_KEY : Fault.NONE);
                HttpChatModel model = model(server, 1, 0)) {
            try (CallJournal journal = CallJournal.open(file)) {
                assertThatThrownBy(() -> journal.answer(model, calls, () -> {}))
                        .isInstanceOf(ConfigException.class);
                assertThatThrownBy(() -> CallJournal.open(file))
                        .hasMessageContaining("in use by another process");
            }
            String whole = Files.readString(file);
            Files.writeString(file, whole + "{\"key\": \"half a li");
            try (CallJournal journal = CallJournal.open(file)) {
                assertThat(journal.missing(model, calls)).hasSize(2);
                List<CallJournal.Entry> entries = journal.answer(model, calls, () -> {});
                assertThat(entries)
                        .extracting(e -> e.reply().text())
                        .containsExactly("re: q0", "re: q1", "re: q2", "re: q3", "re: q4");
            }
            assertThat(server.requests()).isEqualTo(6);
            assertThat(Files.readString(file)).startsWith(whole).doesNotContain("half a li");
        }
    }

    @Test
    void cost_isCountedBeforeTheFirstCall() {
        ChatCall call = ChatCall.chat(List.of(ChatMessage.user("x".repeat(4000))), SETTINGS);
        try (HttpChatModel model =
                new HttpChatModel(HttpConfig.of("http://127.0.0.1:9/v1", "m", null))) {
            CostEstimate cost = CostEstimate.of(model, List.of(call, call));
            assertThat(cost).isEqualTo(new CostEstimate(2, 2016, 16));
            CostEstimate.Prices prices = new CostEstimate.Prices(10, 1000);
            assertThat(cost.money(prices)).isEqualTo((2016 * 10 + 16 * 1000) / 1e6);
            assertThatThrownBy(() -> cost.requireAtMost(0.03, prices))
                    .isInstanceOf(ConfigException.class)
                    .hasMessageContaining("above --max-cost 0.03");
        }
    }
}
