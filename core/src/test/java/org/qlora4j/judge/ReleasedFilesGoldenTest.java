package org.qlora4j.judge;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.ask.CallSettings;
import org.qlora4j.ask.ChatMessage;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Questions, answers and their ids are read as the paper's program wrote them. */
class ReleasedFilesGoldenTest {
    private static final CallSettings SETTINGS = new CallSettings(0.7, 0.9, 8, 0, List.of());

    static Path released(String name) {
        Path file =
                Path.of(System.getProperty("qlora.shared", "../../shared"), "data/eval")
                        .resolve(name);
        assumeTrue(Files.exists(file), "no file " + file);
        return file;
    }

    static List<JsonNode> lines(Path file) throws IOException {
        List<JsonNode> out = new ArrayList<>();
        for (String line : Files.readAllLines(file)) {
            out.add(new JsonMapper().readTree(line));
        }
        return out;
    }

    @Test
    void vicunaQuestions_becomeThePapersPrompts() throws IOException {
        List<Question> questions = Question.read(released("prompts/vicuna_questions.jsonl"));
        assertThat(questions).hasSize(80);
        List<JsonNode> answers =
                lines(
                        released(
                                "generations/vicuna/7b-guanaco-vicuna-generations-topp0.9-temp0.7.jsonl"));
        for (int i = 0; i < 80; i++) {
            assertThat(questions.get(i).guanacoPrompt())
                    .isEqualTo(answers.get(i).get("prompt").asString());
            assertThat(AnswerRun.truncated(answers.get(i).get("generation").asString()))
                    .isEqualTo(answers.get(i).get("generation_truncated").asString().strip());
        }
    }

    /** The dialogue is read, written again as a prompt, and equals the file's prompt. */
    @Test
    void oaQuestions_areDialoguesOfOneToThreeTurns() throws IOException {
        Path file = released("prompts/oa_questions.jsonl");
        List<Question> questions = Question.read(file);
        List<JsonNode> records = lines(file);
        int[] byTurns = new int[4];
        for (int i = 0; i < questions.size(); i++) {
            Question q = questions.get(i);
            byTurns[1 + (int) q.before().stream().filter(m -> m.role().equals("user")).count()]++;
            Question own =
                    new Question(
                            q.id(),
                            q.idField(),
                            q.text(),
                            q.category(),
                            q.before(),
                            q.turns(),
                            null);
            assertThat(own.guanacoPrompt().replaceAll("\\s+", " "))
                    .isEqualTo(records.get(i).get("prompt").asString().replaceAll("\\s+", " "));
        }
        assertThat(byTurns).containsExactly(0, 517, 414, 22);
    }

    @ParameterizedTest
    @CsvSource({
        "13b-guanaco-vicuna-generations-topp0.9-temp0.7, 7b-guanaco-vicuna-generations-topp0.9-temp0.7",
        "7b-guanaco-vicuna-generations-topp0.9-temp0.7, answer-gpt35"
    })
    void answerIds_areThoseOfTheRatings(String first, String second) throws IOException {
        SystemAnswers one = answers(first);
        SystemAnswers two = answers(second);
        String name = first + "-vs-" + second + "-gpt-4-reviewer-threeclass.jsonl";
        for (JsonNode rating : lines(released("ratings/vicuna/pairwise/" + name))) {
            String question = rating.get("question_id").asString();
            assertThat(requireNonNull(one.answers().get(question)).id())
                    .isEqualTo(rating.get("answer1_id").asString());
            assertThat(requireNonNull(two.answers().get(question)).id())
                    .isEqualTo(rating.get("answer2_id").asString());
        }
    }

    private static SystemAnswers answers(String system) {
        String file = system.equals("answer-gpt35") ? "answer_gpt35" : system;
        return SystemAnswers.read(released("generations/vicuna/" + file + ".jsonl"), system);
    }

    @Test
    void dialogueOfAQuestion_isWhatTheModelIsAsked() throws IOException {
        Question question =
                Question.read(released("prompts/oa_questions.jsonl")).stream()
                        .filter(q -> !q.before().isEmpty())
                        .findFirst()
                        .orElseThrow();
        assertThat(question.before().getFirst().role()).isEqualTo("user");
        assertThat(question.before().getLast().role()).isEqualTo("assistant");
        assertThat(new AnswerRun(List.of(question), SETTINGS, false).calls()).isEqualTo(1);
        assertThat(question.before()).extracting(ChatMessage::content).doesNotContain("");
    }
}
