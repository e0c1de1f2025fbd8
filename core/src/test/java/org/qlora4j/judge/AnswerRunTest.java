package org.qlora4j.judge;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.ask.CallJournal;
import org.qlora4j.ask.CallSettings;
import org.qlora4j.ask.ChatCall;
import org.qlora4j.ask.CostEstimate;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;

class AnswerRunTest {
    private static final CallSettings SETTINGS = new CallSettings(0.7, 0.9, 8, 100, List.of());

    @TempDir Path folder;

    private List<Question> questions() throws IOException {
        Path file = folder.resolve("questions.jsonl");
        Files.writeString(
                file,
                """
                {"question_id": 1, "text": "Why is ice slippery?", "category": "generic"}
                {"question_id": 81, "category": "writing", "turns": ["Name a colour.", "And another?"]}
                {"message_id": "0a", "question_id": "0a", "text": "### Human: Hi ### Assistant: Hello, ### ok? ### Human: Bye ### Assistant:"}
                """);
        return Question.read(file);
    }

    private static String said(ChatCall call) {
        return "%d:%s".formatted(call.messages().size(), call.messages().getLast().content());
    }

    @Test
    void turnsAndDialogues_areAskedInTheirPlace() throws IOException {
        Path out = folder.resolve("system.jsonl");
        FunctionModel model = new FunctionModel(AnswerRunTest::said);
        AnswerRun run = new AnswerRun(questions(), SETTINGS, false);
        try (CallJournal journal = CallJournal.open(folder.resolve("system.calls.jsonl"))) {
            assertThat(run.calls()).isEqualTo(4);
            assertThat(run.estimate(model, journal))
                    .extracting(CostEstimate::calls, CostEstimate::newTokens)
                    .containsExactly(4, 32L);
            run.run(model, journal, out, done -> {});
            assertThat(model.asked()).hasSize(4);
            assertThat(run.estimate(model, journal).calls()).isEqualTo(0);
            run.run(model, journal, out, done -> {});
            assertThat(model.asked()).as("asked again").hasSize(4);
        }
        List<JsonNode> lines = ReleasedFilesGoldenTest.lines(out);
        assertThat(lines.get(0).get("generation_truncated").asString())
                .isEqualTo("1:Why is ice slippery?");
        assertThat(lines.get(1).get("choices").get(0).get("turns"))
                .extracting(JsonNode::asString)
                .containsExactly("1:Name a colour.", "3:And another?");
        assertThat(lines.get(2).get("message_id").asString()).isEqualTo("0a");
        assertThat(lines.get(2).get("generation").asString()).isEqualTo("3:Bye");
        assertThat(lines.get(2).get("metadata").get("seed").asInt()).isEqualTo(102);

        SystemAnswers read = SystemAnswers.read(out, "system");
        assertThat(requireNonNull(read.answers().get("81")).text())
                .isEqualTo("[Answer 1]\n1:Name a colour.\n\n[Answer 2]\n3:And another?");
        assertThat(requireNonNull(read.answers().get("1")).id())
                .isEqualTo(ShortId.of("1:Why is ice slippery?"));
    }

    @Test
    void paperPrompts_endBeforeTheNextTurn() throws IOException {
        Path out = folder.resolve("guanaco.jsonl");
        FunctionModel model = new FunctionModel(call -> " Cold. ### Human: and fire?");
        try (CallJournal journal = CallJournal.open(folder.resolve("g.calls.jsonl"))) {
            new AnswerRun(questions().subList(0, 1), SETTINGS, true)
                    .run(model, journal, out, done -> {});
        }
        assertThat(model.asked().getFirst().raw())
                .startsWith("A chat between a curious human")
                .endsWith("### Human: Why is ice slippery? ### Assistant:");
        JsonNode line = ReleasedFilesGoldenTest.lines(out).getFirst();
        assertThat(line.get("generation").asString()).isEqualTo(" Cold. ### Human: and fire?");
        assertThat(line.get("generation_truncated").asString()).isEqualTo("Cold.");
    }

    @Test
    void paperPrompts_haveOneTurn() throws IOException {
        List<Question> questions = questions();
        assertThatThrownBy(() -> new AnswerRun(questions, SETTINGS, true))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("question 81 has 2 turns");
    }

    @Test
    void questionTwice_isToldWithItsLine() throws IOException {
        Path file = folder.resolve("twice.jsonl");
        Files.writeString(
                file,
                """
                {"question_id": 1, "text": "a"}
                {"question_id": 1, "text": "b"}
                """);
        assertThatThrownBy(() -> Question.read(file))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("twice.jsonl:2: question 1 stands in the file twice");
    }
}
