package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.Trainer;
import org.qlora4j.config.ConfigKeys;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigWriter;
import org.qlora4j.error.UserException;
import org.qlora4j.plan.DryRun;
import org.qlora4j.plan.MemoryPlan;
import org.qlora4j.run.EvalMetrics;
import org.qlora4j.run.ExactMatch;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.SampleAnswer;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.run.TaskMetrics;
import org.qlora4j.tensor.Engine;
import org.qlora4j.testing.TinyLlama;

/**
 * Every key of the settings does something: of two values one gives another plan, another run or an
 * error.
 */
class EverySettingTest {

    /**
     * Two values of each key (of the compute dtype one that there is not, for whether bfloat16
     * computes otherwise is the processor's), and behind a bar the settings under which they
     * matter. DATA and the like stand for files of the test.
     */
    private static final String CASES =
            """
            model.model_name_or_path=MODEL ~ OTHER
            model.init=checkpoint ~ random
            model.device=cpu ~ cuda:9
            model.num_labels=null ~ 3
            model.label_names=[] ~ [no, yes]
            model.new_tokens=[] ~ [xy]
            model.stream_layers=false ~ true
            quantization.load_in_4bit=true ~ false
            quantization.bnb_4bit_quant_type=nf4 ~ fp4
            quantization.bnb_4bit_use_double_quant=true ~ false
            quantization.bnb_4bit_blocksize=64 ~ 128
            quantization.bnb_4bit_compute_dtype=float32 ~ float64
            quantization.load_in_8bit=false ~ true | quantization.load_in_4bit=false
            quantization.llm_int8_threshold=6 ~ 0.01 | quantization.load_in_8bit=true quantization.load_in_4bit=false
            quantization.keep_quantization=false ~ true | quantization.load_in_4bit=false
            lora.r=4 ~ 5
            lora.lora_alpha=8 ~ 9
            lora.lora_dropout=0 ~ 0.5
            lora.target_modules=all-linear ~ [q_proj]
            lora.exclude_modules=null ~ [q_proj]
            lora.use_rslora=false ~ true
            lora.rank_pattern={} ~ {q_proj: 2}
            lora.alpha_pattern={} ~ {q_proj: 2}
            lora.layers_to_transform=null ~ [1]
            lora.init_lora_weights=true ~ gaussian
            lora.use_dora=false ~ true
            lora.modules_to_save=null ~ [lm_head]
            data.dataset=DATA ~ CHATS
            data.dataset_format=auto ~ alpaca
            data.source_max_len=1024 ~ 8
            data.target_max_len=256 ~ 8
            data.train_on_source=false ~ true
            data.group_by_length=false ~ true
            data.packing=false ~ true
            data.pad_to_multiple_of=0 ~ 100
            data.max_train_samples=0 ~ 5
            data.chat_template=null ~ tokenizer
            data.roles_to_train=[assistant] ~ [assistant, user] | data.dataset=CHATS
            data.roles={} ~ {captain: assistant} | data.dataset=CAPTAIN
            data.chat_template_kwargs={} ~ {bos_token: x} | data.dataset=CHATS
            data.sanitize_control_tokens=false ~ true | data.dataset=CONTROL
            data.mask_history=false ~ true | data.dataset=CHATS
            data.truncation=cut ~ refuse | data.source_max_len=8
            data.on_bad_data=skip ~ refuse | data.dataset=BAD
            data.columns={} ~ {input: q, output: a} | data.dataset=COLUMNS
            data.encoding=null ~ utf-16
            data.stopping_strategy=first_exhausted ~ all_exhausted | data.dataset=[{path: DATA, weight: 3}, {path: EVAL, weight: 1}]
            data.eval_dataset=null ~ EVAL | eval.do_eval=true
            data.eval_dataset_size=0 ~ 4 | eval.do_eval=true
            data.max_eval_samples=0 ~ 1 | eval.do_eval=true data.eval_dataset=EVAL
            data.data_split_seed=42 ~ 7 | eval.do_eval=true data.eval_dataset_size=4
            distill.teacher=null ~ OTHER
            distill.temperature=1 ~ 2 | distill.teacher=OTHER
            distill.weight=0.9 ~ 0.5 | distill.teacher=OTHER
            distill.top_k=32 ~ 4 | distill.teacher=OTHER
            train.output_dir=RUN/a ~ RUN/b
            train.full_finetune=false ~ true | quantization.load_in_4bit=false
            train.max_steps=2 ~ 3
            train.num_train_epochs=null ~ 1 | train.max_steps=null
            train.per_device_train_batch_size=2 ~ 3
            train.gradient_accumulation_steps=2 ~ 1
            train.learning_rate=1e-2 ~ 2e-2
            train.lr_scheduler_type=constant ~ linear
            train.lr_scheduler_kwargs={} ~ {num_cycles: 2} | train.lr_scheduler_type=cosine_with_restarts train.max_steps=4
            train.warmup_ratio=0 ~ 0.5 | train.lr_scheduler_type=linear
            train.warmup_steps=0 ~ 2 | train.lr_scheduler_type=linear
            train.optim=paged_adamw_32bit ~ adamw_8bit | lora.r=80
            train.loraplus_lr_ratio=null ~ 16
            train.weight_decay=0 ~ 0.5
            train.adam_beta1=0.9 ~ 0.5
            train.adam_beta2=0.999 ~ 0.9
            train.adam_epsilon=1e-8 ~ 1
            train.max_grad_norm=0.3 ~ 0.01
            train.gradient_checkpointing=true ~ false
            train.seed=42 ~ 7
            train.data_seed=null ~ 7
            train.logging_steps=1 ~ 3 | train.max_steps=5
            train.save_steps=0 ~ 1
            train.save_total_limit=40 ~ 1 | train.save_steps=1
            train.threads=0 ~ 1
            train.ddp_timeout=60 ~ 0
            train.pipeline_parallel_size=1 ~ 2
            train.sample_prompt=[] ~ [ab]
            train.sample_max_new_tokens=4 ~ 3 | train.sample_prompt=[ab]
            train.sample_steps=0 ~ 1 | train.sample_prompt=[ab] train.sample_max_new_tokens=2
            train.report_to=[] ~ [png]
            eval.eval_strategy=no ~ steps | eval.eval_steps=1 data.eval_dataset=EVAL
            eval.eval_steps=1 ~ 2 | eval.eval_strategy=steps data.eval_dataset=EVAL
            eval.eval_on_start=false ~ true | eval.eval_strategy=steps eval.eval_steps=1 data.eval_dataset=EVAL
            eval.do_eval=false ~ true | data.eval_dataset=EVAL
            eval.predict_with_generate=false ~ true | data.eval_dataset=EVAL
            eval.per_device_eval_batch_size=8 ~ 0 | eval.do_eval=true data.eval_dataset=EVAL
            eval.load_best_model_at_end=false ~ true | eval.eval_strategy=steps eval.eval_steps=1 data.eval_dataset=EVAL train.learning_rate=5 train.max_grad_norm=0
            eval.metric_for_best_model=eval_loss ~ eval_accuracy | eval.eval_strategy=steps eval.eval_steps=1 data.eval_dataset=EVAL
            eval.greater_is_better=null ~ true | eval.load_best_model_at_end=true eval.eval_strategy=steps eval.eval_steps=1 data.eval_dataset=EVAL
            eval.early_stopping_patience=0 ~ 1 | eval.early_stopping_threshold=100 eval.load_best_model_at_end=true eval.eval_strategy=steps eval.eval_steps=1 data.eval_dataset=EVAL train.max_steps=6
            eval.early_stopping_threshold=0 ~ 100 | eval.early_stopping_patience=1 eval.load_best_model_at_end=true eval.eval_strategy=steps eval.eval_steps=1 data.eval_dataset=EVAL train.max_steps=6
            eval.tasks=[] ~ [TASK] | eval.do_eval=true data.eval_dataset=EVAL
            eval.tasks_limit=0 ~ 1 | eval.tasks=[TASK] eval.do_eval=true data.eval_dataset=EVAL
            eval.tasks_num_fewshot=null ~ 1 | eval.tasks=[TASK] eval.do_eval=true data.eval_dataset=EVAL
            """;

    private static final Path TASK =
            Path.of("src/test/resources/org/qlora4j/task/tiny/last.yaml").toAbsolutePath();

    @TempDir static Path shared;

    @TempDir Path folder;

    /** A line of {@link #CASES}. */
    record Case(String key, String one, String other, List<String> under) {
        static Case of(String line) {
            String[] parts = line.split(" \\| ", 2);
            int equals = parts[0].indexOf('=');
            String[] values = parts[0].substring(equals + 1).split(" ~ ", -1);
            List<String> under = new ArrayList<>();
            if (parts.length > 1) { // blanks stand inside of braces too
                for (String word : parts[1].split(" (?=[a-z]+\\.)", -1)) {
                    under.add(word);
                }
            }
            return new Case(parts[0].substring(0, equals), values[0], values[1], under);
        }

        @Override
        public String toString() {
            return key + " " + one + " or " + other;
        }
    }

    static Stream<Case> cases() {
        return CASES.lines().map(Case::of);
    }

    @BeforeAll
    static void files() throws IOException {
        TinyRun.data(shared);
        write("CHATS", "{\"messages\": [%s, %s, %s, %s]}", "a", "b");
        write("CONTROL", "{\"messages\": [%s, %s, %s, %s]}", "a</s>", "b");
        write(
                "CAPTAIN",
                "{\"messages\": [%s, %s, %s, {\"role\": \"captain\", \"content\": \"aye\"}, %s]}",
                "a",
                "b");
        Files.writeString(
                shared.resolve("EVAL.jsonl"),
                """
                {"input": "say: ", "output": "xyxyxy"}
                {"input": "say abc: ", "output": "xy"}
                """);
        Files.writeString(
                shared.resolve("BAD.jsonl"),
                """
                {"input": "say: ", "output": "xyxyxy"}
                {"input": "say abc: ", "output": 5}
                {"input": "say abc: ", "output": "xy"}
                """);
        Files.writeString(
                shared.resolve("COLUMNS.jsonl"),
                """
                {"q": "say: ", "a": "xyxyxy"}
                {"q": "say abc: ", "a": "xy"}
                """);
        Path other = TinyLlama.copyTo(Files.createDirectory(shared.resolve("OTHER")));
        Path config = other.resolve("config.json");
        Files.writeString(
                config,
                Files.readString(config)
                        .replaceFirst("\"rms_norm_eps\": [^,]+", "\"rms_norm_eps\": 0.1"));
    }

    private static void write(String name, String record, String user, String assistant)
            throws IOException {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 6; i++) {
            String asks = "{\"role\": \"user\", \"content\": \"%s\"}".formatted(user + i);
            String says = "{\"role\": \"assistant\", \"content\": \"%s\"}".formatted(assistant + i);
            lines.append(record.formatted(asks, says, asks, says)).append('\n');
        }
        Files.writeString(shared.resolve(name + ".jsonl"), lines);
    }

    @Test
    void everyKey_isTried() {
        assertThat(cases().map(Case::key))
                .containsExactlyElementsOf(
                        ConfigKeys.all().stream().map(ConfigKeys.Key::name).toList());
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void anotherValue_givesAnotherResultAnotherPlanOrAnError(Case setting) {
        if (setting.key.equals("train.threads")) { // results never depend on it
            assertOneThread(config(setting, setting.other, "run"));
            return;
        }
        String one = plan(setting, setting.one);
        String other = plan(setting, setting.other);
        if (one.equals(other)) {
            one = result(setting, setting.one, "one");
            other = result(setting, setting.other, "other");
        }
        assertThat(one).isNotEqualTo(other);
        assertThat(List.of(one, other)) // an error of the test's own settings shows nothing
                .anyMatch(text -> !text.startsWith("refused: "));
    }

    /** While it runs: the next run of this process shares out all threads again. */
    private static void assertOneThread(RunConfig config) {
        int before = Engine.call(Engine::threads);
        try {
            Engine.run(() -> Engine.setThreads(3));
            List<Integer> during = new ArrayList<>();
            RunListener counts =
                    new RunListener() {
                        @Override
                        public void stepDone(StepMetrics metrics) {
                            during.add(Engine.threads());
                        }
                    };
            new TrainingRun(config, false, counts).run();
            assertThat(during).isNotEmpty().containsOnly(1);
            assertThat(Engine.call(Engine::threads)).isEqualTo(3);
        } finally {
            Engine.run(() -> Engine.setThreads(before));
        }
    }

    private RunConfig config(Case setting, String value, String run) {
        List<String> words = new ArrayList<>(List.of("train.max_steps=2"));
        words.addAll(setting.under);
        words.add(setting.key + "=" + value);
        words.replaceAll(this::filled);
        return TinyRun.config(
                folder.resolve(run), shared.resolve("data.jsonl"), words.toArray(String[]::new));
    }

    private String filled(String word) {
        String out =
                word.replace("RUN/", folder + "/")
                        .replace("MODEL", TinyLlama.folder().toString())
                        .replace("TASK", TASK.toString());
        out = out.replace("OTHER", shared.resolve("OTHER").toString());
        for (String name :
                List.of("DATA", "CHATS", "CONTROL", "CAPTAIN", "EVAL", "BAD", "COLUMNS")) {
            String file = name.equals("DATA") ? "data.jsonl" : name + ".jsonl";
            out = out.replaceAll("\\b" + name + "\\b", shared.resolve(file).toString());
        }
        return out;
    }

    /** What is said before a weight is loaded. */
    private String plan(Case setting, String value) {
        return attempt(() -> {
            RunConfig config = config(setting, value, "run");
            String dry = DryRun.describe(config, false);
            return dry.substring(RunConfigWriter.toYaml(config).length())
                    + Engine.call(() -> MemoryPlan.of(config)).parts();
        });
    }

    /** What a run does, but for its times. */
    private String result(Case setting, String value, String run) {
        return attempt(() -> {
            Trace trace = new Trace();
            RunConfig config = config(setting, value, run);
            new Trainer(config, false, trace).run();
            try (Stream<Path> files = Files.walk(config.train().outputPath())) {
                TreeSet<String> names = new TreeSet<>();
                for (Path file : files.toList()) {
                    names.add(config.train().outputPath().relativize(file).toString());
                }
                trace.lines.add(names.toString());
                trace.lines.add(
                        String.valueOf(
                                Files.readAllLines(
                                                config.train()
                                                        .outputPath()
                                                        .resolve("metrics.jsonl"))
                                        .size()));
                if (setting.key.equals("train.output_dir")) {
                    trace.lines.add(config.train().outputPath().toString());
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
            return String.join("\n", trace.lines);
        });
    }

    private static String attempt(Supplier<String> action) {
        try {
            return action.get();
        } catch (UserException e) {
            return "refused: " + e.getMessage();
        }
    }

    /** Lines of what a run told, without times. */
    private static final class Trace extends TinyRun.Record {
        private final List<String> lines = new ArrayList<>();

        @Override
        public void stepDone(StepMetrics metrics) {
            lines.add(
                    String.format(
                            Locale.ROOT,
                            "%d %.9f %.9f %.9g %d %d",
                            metrics.step(),
                            metrics.loss(),
                            metrics.gradNorm(),
                            metrics.learningRate(),
                            metrics.tokens(),
                            metrics.labelTokens()));
        }

        @Override
        public void evaluated(EvalMetrics metrics) {
            lines.add("evaluated " + metrics.loss() + " " + metrics.labelTokens());
        }

        @Override
        public void tasksAsked(TaskMetrics metrics) {
            lines.add("asked " + metrics.results());
        }

        @Override
        public void sampleAnswered(SampleAnswer answer) {
            lines.add(answer.toString());
        }

        @Override
        public void compared(ExactMatch answers) {
            lines.add(answers.toString());
        }

        @Override
        public void checkpointSaved(Path folder) {
            lines.add("saved " + folder.getFileName());
        }
    }
}
