package org.qlora4j.spark;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.LanguageModel;
import org.qlora4j.Trainer;
import org.qlora4j.ask.CallJournal;
import org.qlora4j.ask.CallSettings;
import org.qlora4j.ask.ChatModel;
import org.qlora4j.config.RunConfig;
import org.qlora4j.eval.Perplexity;
import org.qlora4j.judge.AnswerRun;
import org.qlora4j.judge.Question;
import org.qlora4j.task.TaskOptions;
import org.qlora4j.task.TaskRequest;
import org.qlora4j.task.TaskResponse;
import org.qlora4j.task.TaskResults;
import org.qlora4j.task.TaskRun;
import org.qlora4j.task.TaskSuite;
import org.qlora4j.task.TextLikelihood;

/** Jobs on Spark's local executors give what this process gives alone. */
class SparkJobsTest {
    private static final Path CORE = Path.of("../core/src/test/resources");
    private static final String MODEL = CORE.resolve("tiny-llama").toString();
    private static final SparkModel NAMED = new SparkModel(MODEL, null, List.of(), 3);

    private static JavaSparkContext spark;

    @TempDir Path folder;

    @BeforeAll
    static void start() {
        spark =
                new JavaSparkContext(
                        new SparkConf()
                                .setMaster("local[2]")
                                .setAppName("test")
                                .set("spark.ui.enabled", "false")
                                .set("spark.driver.host", "127.0.0.1")
                                .set("spark.driver.bindAddress", "127.0.0.1"));
    }

    @AfterAll
    static void stop() {
        spark.stop();
    }

    private Path answers(String name, ChatModel model) {
        List<Question> questions = Question.read(folder.resolve("questions.jsonl"));
        AnswerRun run =
                new AnswerRun(questions, new CallSettings(0.7, 0.9, 8, 5, List.of()), false);
        Path out = folder.resolve(name + ".jsonl");
        try (CallJournal journal = CallJournal.open(folder.resolve(name + ".calls.jsonl"))) {
            run.run(model, journal, out, done -> {});
        }
        return out;
    }

    @Test
    void answers_areThoseOfOneProcess() throws IOException {
        StringBuilder questions = new StringBuilder();
        for (int i = 0; i < 20; i++) {
            questions.append(
                    "{\"question_id\": %d, \"text\": \"w%d w%d\"}%n".formatted(i, i, 2 * i));
        }
        Files.writeString(folder.resolve("questions.jsonl"), questions);
        Path alone;
        try (LanguageModel model = NAMED.load()) {
            alone = answers("alone", model.asChatModel(NAMED.name(), NAMED.identity(), 4));
        }
        Path spread = answers("spread", new SparkChatModel(spark, NAMED));
        assertThat(undated(spread)).isEqualTo(undated(alone));
        assertThat(Files.readAllLines(folder.resolve("spread.calls.jsonl"))).hasSize(20);
    }

    private static String undated(Path file) throws IOException {
        return Files.readString(file).replaceAll("\"date\":\"[^\"]*\"", "");
    }

    @Test
    void tasks_haveTheNumbersOfOneProcess() {
        Path tasks = CORE.resolve("org/qlora4j/task/tiny");
        TaskSuite suite =
                TaskSuite.load(
                        List.of(
                                tasks.resolve("yes.yaml").toString(),
                                tasks.resolve("texts.yaml").toString(),
                                tasks.resolve("write.yaml").toString()),
                        TaskOptions.DEFAULT);
        TaskResults alone;
        try (LanguageModel model = NAMED.load()) {
            alone = model.evaluate(suite, 256, 4, null, done -> {});
        }
        try (SparkTaskModel model = new SparkTaskModel(spark, NAMED, 256)) {
            TaskResults spread = TaskRun.run(suite, model, null, done -> {});
            assertThat(spread.json()).isEqualTo(alone.json());
        }
    }

    @Test
    void sweep_givesTheRunsOfOneProcess() throws IOException {
        StringBuilder data = new StringBuilder();
        for (int i = 0; i < 8; i++) {
            data.append("{\"input\": \"w%d\", \"output\": \"w%d\"}%n".formatted(i, i + 1));
        }
        Path file = Files.writeString(folder.resolve("data.jsonl"), data);
        List<String> common =
                List.of(
                        "model.model_name_or_path=" + MODEL,
                        "data.dataset=" + file,
                        "train.max_steps=3",
                        "train.per_device_train_batch_size=2",
                        "train.gradient_accumulation_steps=1",
                        "train.report_to=[]");
        List<SweepJob.Cell> cells =
                List.of(
                        new SweepJob.Cell("r2", List.of("lora.r=2")),
                        new SweepJob.Cell("wrong", List.of("lora.r=0")),
                        new SweepJob.Cell("r4", List.of("lora.r=4")));
        Path sweep = folder.resolve("sweep");
        List<SweepJob.Row> rows = SweepJob.run(spark, sweep, common, cells);
        assertThat(rows).extracting(SweepJob.Row::name).containsExactly("r2", "wrong", "r4");
        assertThat(rows.get(1).error()).contains("lora.r must be at least 1, got 0");
        for (int i : List.of(0, 2)) {
            Path alone = folder.resolve("alone" + i);
            List<String> words = new ArrayList<>(common);
            words.addAll(cells.get(i).settings());
            words.add("train.output_dir=" + alone);
            new Trainer(RunConfig.of(words.toArray(String[]::new))).run();
            assertThat(rows.get(i).error()).isNull();
            assertThat(rows.get(i).steps()).isEqualTo(3);
            String adapter = "checkpoint-3/adapter_model.safetensors";
            assertThat(sweep.resolve(rows.get(i).name()).resolve(adapter))
                    .hasSameBinaryContentAs(alone.resolve(adapter));
        }
        List<SweepJob.Row> again = SweepJob.run(spark, sweep, common, cells);
        assertThat(again).extracting(SweepJob.Row::loss).isEqualTo(losses(rows));
    }

    /** Whatever the partitions, one of which is empty. Windows are those of a context of 64. */
    @Test
    void perplexity_isThatOfOneProcessToTheBit() {
        List<String> texts =
                List.of("w1 w2 w3", "", "w4", "w5 w6 ".repeat(60), "w1 w2 w7", "w8 w9", "w9");
        BigDecimal nats = BigDecimal.ZERO;
        long tokens = 0;
        double rolled = 0;
        try (LanguageModel model = NAMED.load()) {
            for (String text : texts) { // alone: no other text is computed with it
                TextLikelihood said = model.logLikelihoods(List.of(text), 256).getFirst();
                nats = nats.add(new BigDecimal(-said.logLikelihood()));
                tokens += said.tokens();
                rolled += rolled(model, text);
            }
        }
        assertThat(nats.doubleValue()).isCloseTo(-rolled, Percentage.withPercentage(1e-9));
        SparkModel alone = new SparkModel(MODEL, null, List.of(), 1);
        for (int parts : new int[] {1, 3, 9}) {
            Perplexity.Result result =
                    PerplexityJob.run(spark.parallelize(texts, parts), alone, 256);
            assertThat(result.nats()).isEqualTo(nats.doubleValue());
            assertThat(result.tokens()).isEqualTo(tokens);
            assertThat(result.examples()).isEqualTo(7);
            assertThat(result.bytes()).isEqualTo(String.join("", texts).length());
        }
        assertThat(PerplexityJob.run(spark.parallelize(texts, 2), NAMED, 256).nats())
                .isCloseTo(nats.doubleValue(), Percentage.withPercentage(1e-4));
    }

    /** The number that evaluation tasks use. */
    private static double rolled(LanguageModel model, String text) {
        List<TaskResponse> responses = new ArrayList<>();
        model.asTaskModel(256, 1)
                .answer(List.of(new TaskRequest.Rolling(text)), (i, said) -> responses.add(said));
        return responses.getFirst() instanceof TaskResponse.Rolled(double sum) ? sum : Double.NaN;
    }

    @Test
    void textsOfFiles_areReadByTheirField_orTheLineIsTold() throws IOException {
        Path file =
                Files.writeString(
                        folder.resolve("t.jsonl"), "{\"a\": \"w1\"}\n\n{\"a\": \"w2\"}\n");
        assertThat(PerplexityJob.read(spark, file.toString(), "a").collect())
                .containsExactly("w1", "w2");
        assertThatThrownBy(() -> PerplexityJob.read(spark, file.toString(), "b").collect())
                .hasStackTraceContaining("a line has no text in field b: {");
        assertThatThrownBy(
                        () -> PerplexityJob.run(spark.parallelize(List.<String>of()), NAMED, 256))
                .hasMessage("there is no text, so nothing to predict");
    }

    private static List<Double> losses(List<SweepJob.Row> rows) {
        return rows.stream().map(SweepJob.Row::loss).toList();
    }
}
