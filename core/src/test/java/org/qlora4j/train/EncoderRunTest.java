package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.Classification;
import org.qlora4j.LanguageModel;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsFile;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.StoredTensor;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.metric.Answers;
import org.qlora4j.plan.DryRun;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.run.EvalMetrics;
import org.qlora4j.run.ExactMatch;
import org.qlora4j.run.TrainResult;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.TinyEncoders;

/** Whole runs of models with an encoder: T5 answers sources, RoBERTa classifies. */
class EncoderRunTest {
    @TempDir Path folder;

    /** Records of a format. */
    private Path data(String line, int count) throws IOException {
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            lines.add(line.replace("$i", "a".repeat(1 + i % 5)).replace("$c", "" + i % 2));
        }
        return Files.write(folder.resolve("data.jsonl"), lines);
    }

    private RunConfig config(Path model, Path data, String out, String... more) {
        return TinyRun.config(model, folder.resolve(out), data, more);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void t5_learnsAnswersAndGoesOnWhereItStopped(boolean checkpointing) throws IOException {
        Path model = TinyEncoders.t5(folder);
        Path data = data("{\"input\": \"say $i\", \"output\": \"b$i\"}", 12);
        String[] settings = {"train.max_steps=12", "train.gradient_checkpointing=" + checkpointing};
        List<Double> whole = TinyRun.run(config(model, data, "whole", settings)).losses();
        assertThat(whole.getLast()).isLessThan(whole.getFirst() / 2);

        RunConfig again = config(model, data, "again", settings);
        List<Double> first = TinyRun.runAndStopAfter(again, 5).losses();
        List<Double> both = new ArrayList<>(first);
        both.addAll(TinyRun.resume(again).losses());
        assertThat(both).isEqualTo(whole);
        assertThat(
                        Golden.json(adapter("whole", 12).resolve("adapter_config.json"))
                                .path("task_type")
                                .asString())
                .isEqualTo("SEQ_2_SEQ_LM");
    }

    private Path adapter(String run, int step) {
        return folder.resolve(run).resolve("checkpoint-" + step);
    }

    /** What a record of each format becomes: its source with an end, and its target with one. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "{\"instruction\": \"say $i\", \"input\": \"\", \"output\": \"b\"}",
                "{\"prompt\": \"say $i\", \"completion\": \"b\"}",
                "{\"inputs\": \"say $i\", \"targets\": \"b\"}",
                "{\"prompt\": \"say $i\", \"chosen\": \"b\", \"rejected\": \"c\"}",
                "{\"text\": \"<human>: say $i\\n<bot>: b\"}",
                "{\"question\": \"say $i\", \"answer\": \"b\"}"
            })
    void formatsWithPrompts_trainT5(String record) throws IOException {
        Path data = data(record, 4);
        TinyRun.Record run =
                TinyRun.run(config(TinyEncoders.t5(folder), data, "run", "train.max_steps=1"));
        assertThat(run.losses()).hasSize(1);
        assertThat(run.steps.getFirst().labelTokens()).isEqualTo(4 * 3); // ▁ b </s>
    }

    @Test
    void chatsTrainT5_eachAnswerBehindItsOwnSource() throws IOException {
        Path data =
                data(
                        """
                        {"messages": [{"role": "user", "content": "$i"}, \
                        {"role": "assistant", "content": "b"}, \
                        {"role": "user", "content": "c"}, \
                        {"role": "assistant", "content": "dd"}]}\
                        """,
                        2);
        TinyRun.Record run =
                TinyRun.run(
                        config(
                                TinyEncoders.t5(folder),
                                data,
                                "run",
                                "data.chat_template=guanaco",
                                "train.max_steps=1"));
        assertThat(run.notices).anyMatch(line -> line.startsWith("4 examples from 2 records"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"{\"text\": \"abc\"}", "{\"text\": \"### Human: a### Assistant: b\"}"})
    void textsWithoutPrompts_areRefusedForT5(String record) throws IOException {
        Path data = data(record, 2);
        RunConfig config = config(TinyEncoders.t5(folder), data, "run");
        assertThatThrownBy(() -> TinyRun.run(config))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("data.jsonl:1: records of format ")
                .hasMessageContaining("have no prompt, but the model answers a source");
    }

    /** A base model as it comes from pretraining: no classifier, but a head of words. */
    private Path pretrained() throws IOException {
        Path model = TinyEncoders.roberta(folder);
        Path base = Files.createDirectory(folder.resolve("base"));
        for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
            Files.copy(model.resolve(name), base.resolve(name));
        }
        Files.writeString(
                base.resolve("config.json"),
                Files.readString(model.resolve("config.json"))
                        .replaceFirst("(?s)\"id2label\" : \\{[^}]*\\},", ""));
        try (SafetensorsFile file = SafetensorsFile.open(model.resolve(Checkpoint.MODEL_FILE))) {
            SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
            for (String name : file.names()) {
                StoredTensor tensor = file.tensor(name);
                String kept =
                        name.startsWith("classifier.dense")
                                ? name.replace("classifier", "lm_head")
                                : name;
                if (!kept.startsWith("classifier")) {
                    writer.add(kept, tensor.type(), tensor.shape(), tensor.data());
                }
            }
            writer.write(base.resolve(Checkpoint.MODEL_FILE));
        }
        return base;
    }

    @Test
    void roberta_learnsClassesWithANewHeadAndGoesOn() throws IOException {
        Path base = pretrained();
        Path data = data("{\"sentence\": \"$c$c$c\", \"label\": $c, \"idx\": 3}", 12);
        String[] settings = {"train.max_steps=12", "model.num_labels=2"};
        List<Double> whole = TinyRun.run(config(base, data, "whole", settings)).losses();
        assertThat(whole.getLast()).isLessThan(whole.getFirst());

        RunConfig again = config(base, data, "again", settings);
        List<Double> both = new ArrayList<>(TinyRun.runAndStopAfter(again, 7).losses());
        both.addAll(TinyRun.resume(again).losses());
        assertThat(both).isEqualTo(whole);

        Path adapter = adapter("whole", 12);
        var json = Golden.json(adapter.resolve("adapter_config.json"));
        assertThat(json.path("task_type").asString()).isEqualTo("SEQ_CLS");
        assertThat(json.path("modules_to_save").toString()).isEqualTo("[\"classifier\",\"score\"]");
        try (SafetensorsFile file =
                SafetensorsFile.open(adapter.resolve(Checkpoint.ADAPTER_FILE))) {
            assertThat(file.names())
                    .contains(
                            "base_model.model.classifier.dense.weight",
                            "base_model.model.classifier.dense.bias",
                            "base_model.model.classifier.out_proj.weight",
                            "base_model.model.classifier.out_proj.bias");
        }
    }

    @Test
    void roberta_learnsNumbers() throws IOException {
        List<String> lines = new ArrayList<>(List.of("sentence1,sentence2,label"));
        for (int i = 0; i < 12; i++) {
            lines.add(String.format(Locale.ROOT, "%s,bb,%.2f", "a".repeat(1 + i), -i / 4.0));
        }
        Path data = Files.write(folder.resolve("data.csv"), lines);
        List<Double> losses =
                TinyRun.run(
                                config(
                                        pretrained(),
                                        data,
                                        "run",
                                        "train.max_steps=20",
                                        "model.num_labels=1"))
                        .losses();
        assertThat(losses.getFirst()).isGreaterThan(1);
        assertThat(losses.getLast()).isLessThan(losses.getFirst() / 2);
    }

    @Test
    void classesByName_areTakenByTheirPlace() throws IOException {
        Path data =
                Files.writeString(
                        folder.resolve("data.jsonl"),
                        """
                        {"text": "good", "label": "yes"}
                        {"text": "bad", "label": "no"}
                        """);
        String[] settings = {"model.label_names=[no, yes]", "train.max_steps=1"};
        TinyRun.run(config(pretrained(), data, "run", settings));
        Files.writeString(data, "{\"text\": \"good\", \"label\": \"maybe\"}\n");
        RunConfig unknown = config(folder.resolve("base"), data, "other", settings);
        assertThatThrownBy(() -> TinyRun.run(unknown))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(
                        "data.jsonl:1: field label must be a class from 0 to 1 or one of no, yes, got maybe;");
    }

    /**
     * Evaluations have the figures of the task, the best is kept, and the library gives the same.
     */
    @Test
    void robertaIsEvaluatedWhileItLearns_andAskedAfterwards() throws IOException {
        Path base = pretrained();
        Path data = data("{\"sentence\": \"$c$c$c\", \"label\": \"$c!\"}", 12);
        Run run = new Run();
        new TrainingRun(
                        config(
                                base,
                                data,
                                "run",
                                "model.label_names=[0!, 1!]",
                                "train.max_steps=12",
                                "data.eval_dataset=" + data,
                                "eval.eval_strategy=steps",
                                "eval.eval_steps=6",
                                "eval.load_best_model_at_end=true",
                                "eval.metric_for_best_model=eval_accuracy"),
                        false,
                        run)
                .run();
        assertThat(run.evaluations).hasSize(2);
        EvalMetrics last = run.evaluations.getLast();
        assertThat(last.scores().keySet())
                .containsExactly("accuracy", "f1", "matthews_correlation");
        assertThat(last.scores().get("accuracy")).isEqualTo(1);
        assertThat(Files.readString(folder.resolve("run").resolve("metrics.jsonl")))
                .contains("\"eval_accuracy\":1.0");
        QuantConfig f32 = config(base, data, "x").quantization();
        try (LanguageModel model = LanguageModel.load(base, f32)) {
            model.withAdapter(folder.resolve("run"));
            RunConfig asked = config(base, data, "x");
            assertThat(model.evaluateClasses(asked.data(), 5).scores()).isEqualTo(last.scores());
            Classification said = model.classify("111", null);
            assertThat(said.label()).isEqualTo("1!");
            assertThat(said.probabilities().keySet()).containsExactly("0!", "1!");
            assertThat(said.score()).isGreaterThan(0.5);
            assertThatThrownBy(() -> model.classify("a".repeat(80), null))
                    .isInstanceOf(ConfigException.class)
                    .hasMessage("the text has 82 tokens, the model reads 64; shorten it");
        }
    }

    /** An adapter of two classes on a classifier of three, which has its own again afterwards. */
    @Test
    void classesOfAnAdapter_goWithIt() throws IOException {
        Path base = TinyEncoders.roberta(folder);
        Path data = data("{\"sentence\": \"$c$c\", \"label\": $c}", 4);
        String[] settings = {"train.max_steps=1", "model.label_names=[no, yes]"};
        TinyRun.run(config(base, data, "run", settings));
        QuantConfig f32 = config(base, data, "x").quantization();
        try (LanguageModel model = LanguageModel.load(base, f32)) {
            Map<String, Double> before = model.classify("11", null).probabilities();
            assertThat(before.keySet()).containsExactly("LABEL_0", "LABEL_1", "LABEL_2");
            model.withAdapter(folder.resolve("run"));
            assertThat(model.classify("11", null).probabilities().keySet())
                    .containsExactly("no", "yes");
            model.withoutAdapter();
            assertThat(model.classify("11", null).probabilities()).isEqualTo(before);
        }
    }

    /** Answers are compared while the run goes on; whoever asks later gets the same ones. */
    @Test
    void t5IsAskedWhileItLearns_andAfterwards() throws IOException {
        Path t5 = TinyEncoders.t5(folder);
        Path data = data("{\"input\": \"say $i\", \"output\": \"b$i\"}", 12);
        String[] settings = {
            "train.max_steps=8",
            "data.eval_dataset=" + data,
            "data.max_eval_samples=3",
            "eval.eval_strategy=steps",
            "eval.eval_steps=4",
            "train.gradient_checkpointing=false",
            "eval.predict_with_generate=true",
            "eval.per_device_eval_batch_size=2",
            "eval.load_best_model_at_end=true",
            "eval.metric_for_best_model=eval_rougeL"
        };
        Run run = new Run();
        TrainResult result = new TrainingRun(config(t5, data, "run", settings), false, run).run();
        assertThat(run.evaluations).hasSize(2);
        assertThat(run.evaluations.getLast().scores().keySet())
                .containsExactly("rougeL", "exact_match");
        List<ExactMatch.Prediction> predictions = run.compared.getFirst().predictions();
        List<String> expected = predictions.stream().map(ExactMatch.Prediction::expected).toList();
        List<String> answers = predictions.stream().map(ExactMatch.Prediction::finetuned).toList();
        double best =
                run.evaluations.stream()
                        .mapToDouble(m -> m.scores().getOrDefault("rougeL", -1.0))
                        .max()
                        .orElseThrow();
        assertThat(Answers.scores(expected, answers)).containsEntry("rougeL", best);
        RunConfig asked = config(t5, data, "x");
        try (LanguageModel model = LanguageModel.load(t5, asked.quantization())) {
            model.withExactHead().withAdapter(Objects.requireNonNull(result.adapter()));
            GenerationConfig few = GenerationConfig.builder().maxNewTokens(16).build();
            for (ExactMatch.Prediction one : predictions) {
                String text =
                        model.generate("say " + one.expected().substring(1), few, t -> {}).text();
                assertThat(text.strip()).startsWith(one.finetuned());
            }
        }
    }

    /** What a run told of its evaluations. */
    private static final class Run extends TinyRun.Record {
        final List<EvalMetrics> evaluations = new ArrayList<>();
        final List<ExactMatch> compared = new ArrayList<>();

        @Override
        public void evaluated(EvalMetrics metrics) {
            evaluations.add(metrics);
        }

        @Override
        public void compared(ExactMatch answers) {
            compared.add(answers);
        }
    }

    /** A dry run shows the label of a text, and counts the head that learns. */
    @Test
    void dryRun_showsClassesAndNumbers() throws IOException {
        Path base = pretrained();
        Path data = data("{\"text\": \"a\", \"text_pair\": \"b\", \"label\": 1}", 2);
        String classes =
                DryRun.describe(config(base, data, "a", "model.label_names=[no, yes]"), false);
        assertThat(classes)
                .contains("data.jsonl:1: 6 tokens")
                .endsWith("<s>a</s></s>b</s> [[class 1, yes]]");
        // rank 4 on four of 32 x 32 and two of 32 x 48 in each of two layers; the head of two
        int factors = 2 * 4 * (4 * 64 + 2 * 80);
        int head = 32 * 32 + 32 + 2 * 32 + 2;
        assertThat(classes).contains(String.format(Locale.ROOT, "%,d would learn", factors + head));
        assertThat(DryRun.describe(config(base, data, "b", "model.num_labels=1"), false))
                .endsWith("[[number 1.0]]");
    }

    @Test
    void metricOfAnotherTask_isRefused() throws IOException {
        Path data = data("{\"input\": \"a\", \"output\": \"b\"}", 2);
        RunConfig config =
                config(
                        TinyEncoders.t5(folder),
                        data,
                        "a",
                        "data.eval_dataset=" + data,
                        "eval.eval_strategy=epoch",
                        "eval.metric_for_best_model=eval_f1");
        assertThatThrownBy(() -> TinyRun.run(config))
                .isInstanceOf(ConfigException.class)
                .hasMessageStartingWith("eval.metric_for_best_model must not be eval_f1 here: ");
    }

    @Test
    void settingsOfAnotherTask_areRefused() throws IOException {
        Path data = data("{\"input\": \"a\", \"output\": \"b\"}", 2);
        Path t5 = TinyEncoders.t5(folder);
        assertThatThrownBy(() -> TinyRun.run(config(t5, data, "a", "model.num_labels=2")))
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        "model.num_labels and model.label_names must be left out for models of type t5, which classify no texts");
        assertThatThrownBy(() -> TinyRun.run(config(t5, data, "a", "data.train_on_source=true")))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("data.train_on_source must be false for models of type t5");
        String classes = "data.dataset_format=classification";
        assertThatThrownBy(() -> TinyRun.run(config(t5, data, "a", classes)))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("data.dataset_format must not be classification");
    }
}
