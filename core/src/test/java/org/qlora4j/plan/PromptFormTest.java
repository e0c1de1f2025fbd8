package org.qlora4j.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.LanguageModel;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.ChatSettings;
import org.qlora4j.data.Example;
import org.qlora4j.error.FormatException;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.run.RunListener;
import org.qlora4j.testing.TinyLlama;
import org.qlora4j.train.TinyRun;
import org.qlora4j.train.TrainingRun;

/** A prompt is asked as it was learnt, also by who has the adapter alone. */
class PromptFormTest {
    @TempDir Path folder;

    private RunConfig config(String record, String... settings) throws IOException {
        Path data = Files.writeString(folder.resolve("own.jsonl"), record + "\n");
        return TinyRun.config(model(), folder.resolve("run"), data, settings);
    }

    /** The tiny model, told to take texts as long as Alpaca's prompt. */
    private Path model() throws IOException {
        Path model = folder.resolve("model");
        if (!Files.exists(model)) {
            TinyLlama.copyTo(Files.createDirectory(model));
            Path config = model.resolve("config.json");
            Files.writeString(
                    config,
                    Files.readString(config)
                            .replaceFirst(
                                    "\"max_position_embeddings\": \\d+",
                                    "\"max_position_embeddings\": 512"));
        }
        return model;
    }

    private static int[] asked(RunInputs inputs, String prompt) {
        return ChatSettings.DEFAULT.promptIds(
                "the prompt",
                List.of(Map.of("role", "user", "content", prompt)),
                inputs.tokenizer().chatTemplate().orElseThrow(),
                inputs.tokenizer(),
                Integer.MAX_VALUE);
    }

    /**
     * Behind the bar is what a user asks; the ids are those that the answer follows in training.
     */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"instruction\": \"Name a colour.\", \"output\": \"red\"}|Name a colour.",
                "{\"instruction\": \"Name it.\\nNow.\", \"input\": \"\", \"output\": \"red\"}|Name it.\\nNow.",
                "{\"input\": \"a b\", \"output\": \"c\"}|a b",
                "{\"prompt\": \"a b\", \"completion\": \"c\"}|a b",
                "{\"inputs\": \"a b\", \"targets\": \"c\"}|a b",
                "{\"prompt\": \"a b\", \"chosen\": \"c\", \"rejected\": \"d\"}|a b"
            })
    void promptOfAUser_hasTheIdsOfTraining(String record, String prompt) throws IOException {
        try (RunInputs inputs = RunInputs.load(config(record))) {
            Example example = inputs.data().train().examples().getFirst();
            int source = example.labelled().nextSetBit(0);
            assertThat(asked(inputs, prompt.replace("\\n", "\n")))
                    .isEqualTo(Arrays.copyOf(example.ids(), source));
        }
    }

    /** Dialogues in one text are learnt whole: the prompt is their beginning. */
    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"text\": \"### Human: hi### Assistant: yo\"}|oasst1",
                "{\"chosen\": \"\\n\\nHuman: hi\\n\\nAssistant: yo\", \"rejected\": \"\\n\\nHuman: hi\\n\\nAssistant: no\"}|hh-rlhf"
            })
    void dialogueInOneText_beginsWithThePrompt(String record, String format) throws IOException {
        try (RunInputs inputs = RunInputs.load(config(record, "data.dataset_format=" + format))) {
            int[] ids = inputs.data().train().examples().getFirst().ids();
            int[] asked = asked(inputs, "hi");
            assertThat(asked.length).isLessThan(ids.length);
            assertThat(asked).isEqualTo(Arrays.copyOf(ids, asked.length));
        }
    }

    @Test
    void chats_keepTheModelsTemplate() throws IOException {
        String chat =
                "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}";
        try (RunInputs inputs = RunInputs.load(config(chat))) {
            assertThat(inputs.data().promptTemplate()).isNull();
        }
        try (RunInputs inputs =
                RunInputs.load(
                        config(
                                "{\"input\": \"a b\", \"output\": \"c\"}",
                                "data.chat_template=tokenizer"))) {
            assertThat(inputs.data().promptTemplate()).isNull();
        }
    }

    @Test
    void formThatIsNotTheModels_isSaidWithTheWayToIt() throws IOException {
        RunConfig config = config("{\"instruction\": \"Name a colour.\", \"output\": \"red\"}");
        try (RunInputs inputs = RunInputs.load(config)) {
            assertThat(inputs.data().train().report(config.data()))
                    .anyMatch(line ->
                            line.startsWith("prompts are written in the form of Alpaca, not by")
                                    && line.contains("data.chat_template=tokenizer"));
        }
    }

    /**
     * Learnt by heart from Alpaca rows, the answer comes without any prompt around the question.
     */
    @Test
    void adapterAlone_answersAsItLearnt() throws IOException {
        RunConfig config =
                config(
                        "{\"instruction\": \"say ab\", \"output\": \"xyz\"}",
                        "train.max_steps=40",
                        "train.learning_rate=1e-2",
                        "train.per_device_train_batch_size=1",
                        "train.gradient_accumulation_steps=1",
                        "quantization.load_in_4bit=false",
                        "lora.r=16");
        Path adapter = new TrainingRun(config, false, RunListener.NONE).run().adapter();
        QuantConfig plain = config.quantization();
        try (LanguageModel model = LanguageModel.load(model(), plain)) {
            model.withAdapter(Objects.requireNonNull(adapter));
            assertThat(
                            model.generate(
                                            List.of(Map.of("role", "user", "content", "say ab")),
                                            GenerationConfig.DEFAULT.withMaxNewTokens(12),
                                            text -> {})
                                    .text())
                    .isEqualTo("xyz");
            assertThatThrownBy(() ->
                            model.generate(
                                    List.of(
                                            Map.of("role", "system", "content", "be kind"),
                                            Map.of("role", "user", "content", "say ab")),
                                    GenerationConfig.DEFAULT,
                                    text -> {}))
                    .isInstanceOf(FormatException.class)
                    .hasMessageContaining("learnt prompts and answers alone");
        }
    }
}
