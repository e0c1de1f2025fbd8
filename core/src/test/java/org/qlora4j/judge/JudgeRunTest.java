package org.qlora4j.judge;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.ask.CallJournal;
import org.qlora4j.ask.CallSettings;
import org.qlora4j.ask.ChatCall;
import org.qlora4j.ask.ChatReply;
import org.qlora4j.error.ConfigException;
import org.qlora4j.eval.Ratings;
import org.qlora4j.eval.RelativeScore;
import tools.jackson.databind.JsonNode;

class JudgeRunTest {
    @TempDir Path folder;

    private static List<Question> questions(int count) {
        return IntStream.rangeClosed(1, count)
                .mapToObj(i ->
                        new Question(
                                i,
                                "question_id",
                                "q" + i,
                                "generic",
                                List.of(),
                                List.of("q" + i),
                                null))
                .toList();
    }

    private static SystemAnswers system(String name, int count) {
        Map<String, SystemAnswers.Given> answers = new LinkedHashMap<>();
        for (int i = 1; i <= count; i++) {
            String text = name + "'s answer {answer_2} to " + i;
            answers.put(String.valueOf(i), new SystemAnswers.Given(ShortId.of(text), text));
        }
        return new SystemAnswers(name, answers);
    }

    private static JudgeConfig config(JudgeMode mode, boolean labels, double again) {
        return new JudgeConfig(mode, labels, false, 3, again, 0.0, 64, 7);
    }

    private JudgeRun run(JudgeConfig config, int count, @Nullable String reference) {
        return new JudgeRun(
                config,
                JudgePrompts.read(config.mode(), null, null),
                questions(count),
                List.of(system("a", count), system("b", count), system("c", count)),
                reference);
    }

    private static String prompt(ChatCall call) {
        return call.messages().get(1).content();
    }

    private JudgeResult judge(JudgeRun run, FunctionModel model) {
        try (CallJournal journal = CallJournal.open(folder.resolve(JudgeRun.TRANSCRIPT))) {
            return run.run(model, journal, folder, false, done -> {});
        }
    }

    /** A judge that always takes the first answer: no system is better, and it is seen why. */
    @Test
    void firstAnswerAlways_isPositionBias() throws IOException {
        FunctionModel model = new FunctionModel(call -> "Both are fine.\n\n1");
        JudgeResult result = judge(run(config(JudgeMode.PAIRWISE, false, 0.5), 4, null), model);
        assertThat(result.files()).isEqualTo(6);
        assertThat(result.judged()).isEqualTo(24);
        assertThat(result.bias().firstWins()).isEqualTo(1);
        assertThat(result.bias().consistent()).isEqualTo(0);
        assertThat(result.twice()).isEqualTo(12);
        assertThat(result.same()).isEqualTo(12);
        assertThat(model.asked()).hasSize(36);
        assertThat(prompt(model.asked().getFirst()))
                .contains("q1", "a's answer {answer_2} to 1", "b's answer {answer_2} to 1");

        Ratings ratings = Ratings.read(List.of(folder), null);
        assertThat(ratings.systems()).containsExactly("a", "b", "c");
        assertThat(ratings.judgments()).hasSize(24);
        JsonNode rating =
                ReleasedFilesGoldenTest.lines(
                                folder.resolve("a-vs-b-function-reviewer-threeclass.jsonl"))
                        .getFirst();
        assertThat(rating.get("score").asInt()).isEqualTo(1);
        assertThat(rating.get("answer1_id").asString())
                .isEqualTo(ShortId.of("a's answer {answer_2} to 1"));
        JsonNode metadata = rating.get("metadata");
        assertThat(metadata.get("judge").asString()).isEqualTo("function");
        assertThat(metadata.get("prompt_sha256").asString()).hasSize(64);
        assertThat(metadata.get("max_tokens").asInt()).isEqualTo(64);
        assertThat(metadata.get("date").asString()).matches("\\d{4}-\\d\\d-\\d\\dT.*Z");
    }

    /** Asked again in the same chat; a run that begins again asks nothing. */
    @Test
    void malformedReply_isAskedAgainAndCounted() {
        FunctionModel model =
                new FunctionModel(call ->
                        prompt(call).contains("q2")
                                ? "I will not say"
                                : call.messages().size() == 2 ? "Answer 2 is better." : "2");
        JudgeRun run = run(config(JudgeMode.PAIRWISE, false, 0), 3, null);
        JudgeResult result = judge(run, model);
        assertThat(result.judged()).isEqualTo(12);
        assertThat(result.unread()).isEqualTo(6);
        assertThat(result.askedAgain()).isEqualTo(12 + 2 * 6);
        assertThat(model.asked()).hasSize(18 + 18 + 6);
        assertThat(Ratings.read(List.of(folder), null).dropped()).isEqualTo(6);
        judge(run, model);
        assertThat(model.asked()).as("asked by the second run").hasSize(42);
    }

    @Test
    void scores_goIntoRelativeScoresWithoutGuessingTheOrder() {
        FunctionModel model =
                new FunctionModel(call ->
                        prompt(call).indexOf("a's answer") < prompt(call).indexOf("b's answer")
                                        && prompt(call).contains("a's")
                                ? "9 6\nbecause"
                                : "6 9\nbecause");
        JudgeConfig config = config(JudgeMode.SCORES, false, 0);
        JudgeRun run =
                new JudgeRun(
                        config,
                        JudgePrompts.read(config.mode(), null, null),
                        questions(2),
                        List.of(system("a", 2), system("b", 2)),
                        "b");
        judge(run, model);
        Ratings ratings = Ratings.read(List.of(folder), "b");
        assertThat(ratings.orderByName()).isEmpty();
        RelativeScore a = requireNonNull(RelativeScore.bySystem(ratings.scores()).get("a"));
        assertThat(a.referenceFirst()).isCloseTo(150, within(1e-9));
        assertThat(a.systemFirst()).isCloseTo(150, within(1e-9));
    }

    @Test
    void labels_areChosenWithoutText() {
        FunctionModel model = new FunctionModel(call -> call.labels().get(2));
        JudgeResult result = judge(run(config(JudgeMode.PAIRWISE, true, 1), 1, "a"), model);
        assertThat(result.judged()).isEqualTo(4);
        assertThat(result.twice()).isZero();
        assertThat(prompt(model.asked().getFirst())).endsWith("Reply with the numbers alone.\n");
        assertThat(JudgeMode.SCORES.labels()).hasSize(100).contains("1 10\n", "10 1\n");
        assertThat(JudgeMode.SCORES.parse("10 1\n")).containsExactly(10.0, 1.0);
    }

    /**
     * Logs of labels 1, 2, 3 by hand: a likes the first place by 2 nats, and a's answers by 0.6.
     */
    @Test
    void calibratedLabels_forgetTheLikingForAPlace() {
        List<Rating> ratings =
                List.of(
                        rating("a", "b", -0.5, -3.1, -4.0), rating("b", "a", -1.0, -2.4, -4.0),
                        rating("a", "c", -0.5, -2.3, -1.5), rating("c", "a", -0.6, -2.8, -4.0));
        LabelCalibration calibration = LabelCalibration.of(ratings);
        assertThat(calibration.shift()).isCloseTo((-0.65 + 2.65) / 2, within(1e-12));
        assertThat(calibration.apply(ratings))
                .extracting(r -> r.read().getFirst())
                .containsExactly(1.0, 2.0, 2.0, 1.0);
    }

    private static Rating rating(String first, String second, double... logs) {
        SystemAnswers.Given given = new SystemAnswers.Given("x", "y");
        Comparison pair =
                new Comparison(questions(1).getFirst(), first, given, second, given, false);
        List<Double> all = IntStream.range(0, 3).mapToObj(i -> logs[i]).toList();
        return new Rating(
                pair,
                List.of(1.0),
                new CallJournal.Entry(new ChatReply("1", 1, 0, "label", all), ""),
                new CallSettings(0, 1, 1, 0, List.of()),
                1);
    }

    @Test
    void otherRatings_areNotOverwritten() throws IOException {
        Path file = folder.resolve("a-vs-b-function-reviewer-threeclass.jsonl");
        Files.writeString(file, "{}\n");
        JudgeRun run = run(config(JudgeMode.PAIRWISE, false, 0), 1, null);
        assertThatThrownBy(() -> judge(run, new FunctionModel(call -> "3")))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("add --overwrite");
        assertThat(file).hasContent("{}\n");
    }

    /** Every verdict and score that the paper's program read from a reply. */
    @ParameterizedTest
    @CsvSource({"pairwise, vicuna/pairwise, 0", "scores, vicuna/relative-gpt-3.5, 30"})
    void repliesOfGpt4_areReadAsByThePapersProgram(String mode, String place, int mended)
            throws IOException {
        int otherwise = 0;
        int seen = 0;
        try (var files = Files.list(ReleasedFilesGoldenTest.released("ratings/" + place))) {
            for (Path file : files.toList()) {
                for (JsonNode rating : ReleasedFilesGoldenTest.lines(file)) {
                    List<Double> read = JudgeMode.of(mode).parse(rating.get("text").asString());
                    JsonNode score = rating.get("score");
                    Object own = JudgeMode.of(mode).score(read);
                    boolean same =
                            own instanceof List<?> pair
                                    ? ((Number) pair.get(0)).doubleValue()
                                                    == score.get(0).asDouble()
                                            && ((Number) pair.get(1)).doubleValue()
                                                    == score.get(1).asDouble()
                                    : own.equals(score.asInt());
                    boolean math = List.of(68, 69, 70).contains(rating.get("question_id").asInt());
                    otherwise += !same && math ? 1 : 0;
                    assertThat(same || (math && mended > 0)).as("%s", rating).isTrue();
                    seen++;
                }
            }
        }
        assertThat(seen).isGreaterThan(700);
        assertThat(otherwise)
                .as("entered by hand in the released files")
                .isLessThanOrEqualTo(mended);
    }

    @ParameterizedTest
    @CsvSource({
        "'Both.\n\n2', 2",
        "'2 \n', 2",
        "3, 3",
        "'1\nso it is', -1",
        "4, -1",
        "12, -1",
        "'', -1",
        "'Best answer: 2', -1"
    })
    void verdict_isTheLastLineAlone(String reply, int score) {
        assertThat(JudgeMode.PAIRWISE.score(JudgeMode.PAIRWISE.parse(reply))).isEqualTo(score);
    }

    @ParameterizedTest
    @CsvSource({
        "'8 9\nBoth', 8, 9",
        "'8,9', 8, 9",
        "'7.5 0', 7.5, 0",
        "'8, 9', -1, -1",
        "'(10, 1)', -1, -1",
        "'80 90', -1, -1",
        "'Assistant 1: 8', -1, -1"
    })
    void scores_areTheFirstLineAlone(String reply, double one, double two) {
        assertThat((List<?>) JudgeMode.SCORES.score(JudgeMode.SCORES.parse(reply)))
                .extracting(n -> ((Number) n).doubleValue())
                .containsExactly(one, two);
    }

    @Test
    void promptsOfThePaper_areReadAndChosenByCategory() throws IOException {
        Path prompts = ReleasedFilesGoldenTest.released("prompts/vicuna_prompt_threeclass.jsonl");
        Path reviewers = ReleasedFilesGoldenTest.released("prompts/reviewer.jsonl");
        JudgePrompts read = JudgePrompts.read(JudgeMode.PAIRWISE, prompts, reviewers);
        Question math =
                new Question(1, "question_id", "1+1?", "math", List.of(), List.of("1+1?"), null);
        SystemAnswers.Given two = new SystemAnswers.Given("x", "2");
        var messages = read.messages(new Comparison(math, "a", two, "b", two, false), false);
        JsonNode third = ReleasedFilesGoldenTest.lines(prompts).get(2);
        assertThat(messages.get(0).content()).isEqualTo(third.get("system_prompt").asString());
        assertThat(messages.get(1).content())
                .isEqualTo(
                        third.get("prompt_template")
                                .asString()
                                .replace("{question}", "1+1?")
                                .replace("{answer_1}", "2")
                                .replace("{answer_2}", "2")
                                .replace("{prompt}", third.at("/defaults/prompt").asString()));
        assertThat(List.of("generic", "coding", "math", "writing"))
                .extracting(read::reviewer)
                .containsExactly(0, 1, 2, 0);
    }
}
