package org.qlora4j.spark;

import java.io.File;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkStageInfo;
import org.apache.spark.api.java.JavaSparkContext;
import org.qlora4j.LanguageModel;
import org.qlora4j.Trainer;
import org.qlora4j.ask.CallJournal;
import org.qlora4j.ask.CallSettings;
import org.qlora4j.ask.ChatModel;
import org.qlora4j.config.RunConfig;
import org.qlora4j.eval.Perplexity;
import org.qlora4j.judge.AnswerRun;
import org.qlora4j.judge.Question;

/**
 * Two executors, each a JVM of its own, of which one is killed while it works: answers, perplexity
 * and a sweep of six runs must be those of one process. Called by check.sh.
 */
final class ClusterCheck {
    private ClusterCheck() {}

    private static JavaSparkContext cluster() {
        String path = // executors have folders of their own
                Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
                        .map(entry -> Path.of(entry).toAbsolutePath().normalize().toString())
                        .collect(Collectors.joining(File.pathSeparator));
        SparkConf conf =
                new SparkConf()
                        .setMaster("local-cluster[2,1,1536]")
                        .setAppName("check")
                        .set("spark.ui.enabled", "false")
                        .set("spark.driver.host", "127.0.0.1")
                        .set("spark.driver.bindAddress", "127.0.0.1")
                        .set("spark.executor.extraClassPath", path)
                        .set("spark.executor.memory", "1g")
                        .set(
                                "spark.executor.extraJavaOptions",
                                "--add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED -XX:-UseProfiledLoopPredicate");
        return new JavaSparkContext(conf);
    }

    /** The workers live in this JVM, so executors are its children. */
    private static List<Long> executors() {
        return ProcessHandle.current().children().map(ProcessHandle::pid).toList();
    }

    /** Kills one executor once the work is under way. */
    private static Thread killer(BooleanSupplier underWay, AtomicLong killed) {
        return Thread.ofPlatform()
                .daemon()
                .start(() -> {
                    while (!underWay.getAsBoolean() || executors().size() < 2) {
                        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
                    }
                    long pid = executors().getFirst();
                    killed.set(pid);
                    ProcessHandle.of(pid).ifPresent(ProcessHandle::destroyForcibly);
                });
    }

    private static Path answers(
            Path folder, String name, List<Question> questions, ChatModel model) {
        AnswerRun run = new AnswerRun(questions, new CallSettings(0, 1, 24, 0, List.of()), false);
        Path out = folder.resolve(name + ".jsonl");
        try (CallJournal journal = CallJournal.open(folder.resolve(name + ".calls.jsonl"))) {
            run.run(model, journal, out, done -> {});
        }
        return out;
    }

    private static void require(boolean holds, String what) {
        if (!holds) {
            throw new IllegalStateException(what);
        }
    }

    private static String undated(Path file) throws IOException {
        return Files.readString(file).replaceAll("\"date\":\"[^\"]*\"", "");
    }

    /** Whether both executors compute and one has ended a task before. */
    private static boolean isBusy(JavaSparkContext spark) {
        for (int stage : spark.statusTracker().getActiveStageIds()) {
            SparkStageInfo info = spark.statusTracker().getStageInfo(stage);
            if (info != null && info.numActiveTasks() == 2 && info.numCompletedTasks() >= 1) {
                return true;
            }
        }
        return false;
    }

    /**
     * @param args model, questions, number of them, small model for the sweep, an empty folder
     */
    public static void main(String[] args) throws Exception {
        List<Question> questions = Question.read(Path.of(args[1]), Integer.parseInt(args[2]));
        Path folder = Path.of(args[4]);
        SparkModel named =
                new SparkModel(
                        args[0], null, List.of("quantization.bnb_4bit_compute_dtype=float32"), 4);
        Path alone;
        try (LanguageModel model = named.load()) {
            alone = answers(folder, "alone", questions, model.asChatModel(named.name(), "one", 4));
        }
        AtomicLong killed = new AtomicLong();
        try (JavaSparkContext spark = cluster()) {
            Thread killer = killer(() -> isBusy(spark), killed);
            Path spread = answers(folder, "spread", questions, new SparkChatModel(spark, named));
            killer.join(1000);
            require(killed.get() != 0, "no executor was killed");
            require(undated(spread).equals(undated(alone)), "other answers than one process gives");
            System.out.printf(
                    "%d answers on two executors, of which %d was killed, are those of one process%n",
                    questions.size(), killed.get());
        }
        perplexity(questions, new SparkModel(args[0], null, named.settings(), 1));
        sweep(Path.of(args[3]), folder);
    }

    /** Of the questions' texts, each ten times over so that a task takes a while. */
    static void perplexity(List<Question> questions, SparkModel named) throws InterruptedException {
        List<String> texts = questions.stream().map(q -> (q.text() + "\n").repeat(10)).toList();
        double nats;
        try (LanguageModel model = named.load()) {
            nats =
                    -texts.stream()
                            .map(text -> model.logLikelihoods(List.of(text), 2048).getFirst())
                            .map(said -> new BigDecimal(said.logLikelihood()))
                            .reduce(BigDecimal.ZERO, BigDecimal::add)
                            .doubleValue();
        }
        AtomicLong killed = new AtomicLong();
        try (JavaSparkContext spark = cluster()) {
            Thread killer = killer(() -> isBusy(spark), killed);
            Perplexity.Result spread =
                    PerplexityJob.run(spark.parallelize(texts, texts.size() / 2), named, 2048);
            killer.join(1000);
            require(killed.get() != 0, "no executor was killed");
            require(spread.nats() == nats, spread.nats() + " nats, one process: " + nats);
            System.out.printf(
                    "perplexity %s of %d tokens, one executor killed, to the bit%n",
                    spread.perToken(), spread.tokens());
        }
    }

    private static void sweep(Path model, Path folder) throws IOException, InterruptedException {
        StringBuilder data = new StringBuilder();
        for (int i = 0; i < 32; i++) {
            data.append("{\"input\": \"w%d\", \"output\": \"w%d\"}%n".formatted(i, i + 1));
        }
        Path file = Files.writeString(folder.resolve("data.jsonl"), data);
        List<String> common =
                List.of(
                        "model.model_name_or_path=" + model,
                        "data.dataset=" + file,
                        "train.max_steps=400",
                        "train.save_steps=20",
                        "train.save_total_limit=2",
                        "train.per_device_train_batch_size=4",
                        "train.gradient_accumulation_steps=1",
                        "train.report_to=[]");
        List<SweepJob.Cell> cells = new ArrayList<>();
        for (int r : new int[] {2, 4, 8}) {
            for (String rate : List.of("1e-3", "1e-4")) {
                cells.add(
                        new SweepJob.Cell(
                                "r" + r + "-" + rate,
                                List.of("lora.r=" + r, "train.learning_rate=" + rate)));
            }
        }
        AtomicLong killed = new AtomicLong();
        Path sweep = folder.resolve("sweep");
        List<SweepJob.Row> rows;
        try (JavaSparkContext spark = cluster()) {
            Thread killer =
                    killer(
                            () -> Files.exists(sweep.resolve("r4-1e-3/checkpoint-40/qlora4j.json")),
                            killed);
            rows = SweepJob.run(spark, sweep, common, cells);
            killer.join(1000);
        }
        require(killed.get() != 0, "no executor was killed in the sweep");
        for (int i = 0; i < cells.size(); i++) {
            require(rows.get(i).error() == null, String.valueOf(rows.get(i)));
            Path alone = folder.resolve("alone-" + cells.get(i).name());
            List<String> words = new ArrayList<>(common);
            words.addAll(cells.get(i).settings());
            words.add("train.output_dir=" + alone);
            new Trainer(RunConfig.of(words.toArray(String[]::new))).run();
            String adapter = "checkpoint-400/adapter_model.safetensors";
            Path spread = sweep.resolve(cells.get(i).name()).resolve(adapter);
            require(Files.mismatch(spread, alone.resolve(adapter)) < 0, cells.get(i).name());
        }
        rows.forEach(row -> System.out.println(row.json()));
        System.out.println("6 runs, one executor killed: adapters equal to the byte");
    }
}
