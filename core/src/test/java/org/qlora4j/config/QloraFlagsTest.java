package org.qlora4j.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.quant.ComputeDtype;

class QloraFlagsTest {
    private static List<String> lines(String resource) throws IOException {
        try (InputStream in = QloraFlagsTest.class.getResourceAsStream(resource)) {
            return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .filter(line -> !line.startsWith("#"))
                    .toList();
        }
    }

    private static RunConfig read(String... arguments) {
        List<String> all =
                new ArrayList<>(
                        List.of("--model_name_or_path", "org/model", "--dataset", "alpaca"));
        all.addAll(List.of(arguments));
        return RunConfigReader.of(QloraFlags.parse(all));
    }

    static List<String> flagsOfQloraPy() throws IOException {
        return lines("qlora-py-flags.txt").stream()
                .map(line -> line.substring(line.indexOf(' ') + 1))
                .toList();
    }

    @Test
    void listOfFlags_isThatOfQloraPy() throws IOException {
        assertThat(flagsOfQloraPy()).hasSizeBetween(150, 170).doesNotHaveDuplicates();
        assertThat(
                        lines("qlora-py-flags.txt").stream()
                                .filter(line -> !line.startsWith("transformers.")))
                .hasSize(3 + 7 + 35 + 15);
    }

    @ParameterizedTest
    @MethodSource("flagsOfQloraPy")
    void everyFlag_setsAKeyThatExistsOrHasItsReason(String flag) {
        switch (Objects.requireNonNull(QloraFlagTable.FLAGS.get(flag), "no meaning")) {
            case FlagMeaning.Sets sets -> {
                assertThat(ConfigKeys.find(sets.key())).isNotNull();
                String word = sets.values().keySet().stream().findFirst().orElse("1");
                assertThat(QloraFlags.parse(List.of("--" + flag, word)).settings())
                        .singleElement()
                        .satisfies(setting -> assertThat(setting.key()).isEqualTo(sets.key()));
            }
            case FlagMeaning.Ignored ignored -> {
                assertThat(ignored.reason()).isNotBlank();
                assertThat(QloraFlags.parse(List.of("--" + flag + "=other")).notices())
                        .containsExactly("--" + flag + " other has no effect: " + ignored.reason());
                ignored.silent()
                        .forEach(value ->
                                assertThat(QloraFlags.parse(List.of("--" + flag + "=" + value)))
                                        .isEqualTo(Overrides.NONE));
            }
            case FlagMeaning.Refused refused -> {
                assertThat(refused.reason()).isNotBlank();
                assertThatThrownBy(() -> QloraFlags.parse(List.of("--" + flag + "=other")))
                        .isInstanceOf(ConfigException.class)
                        .hasMessage("--" + flag + " other: " + refused.reason());
                refused.harmless()
                        .forEach(value ->
                                assertThat(QloraFlags.parse(List.of("--" + flag + "=" + value)))
                                        .isEqualTo(Overrides.NONE));
            }
        }
    }

    /** The values are those of the script, and the paper's for 65B (table 9, appendix B). */
    @Test
    void guanaco65bScript_isUnderstood() throws IOException {
        List<String> arguments =
                lines("finetune_guanaco_65b.args").stream()
                        .flatMap(line -> List.of(line.split(" ")).stream())
                        .toList();
        Overrides overrides = QloraFlags.parse(arguments);
        RunConfig config = RunConfigReader.of(overrides);
        assertThat(config.model().modelNameOrPath()).isEqualTo("path/to/your/llama/checkpoint");
        assertThat(config.quantization()).isEqualTo(RunConfig.DEFAULT.quantization());
        assertThat(config.lora().r()).isEqualTo(64);
        assertThat(config.lora().loraDropout()).isEqualTo(0.05);
        assertThat(config.data().dataset()).hasToString("oasst1");
        assertThat(config.data().evalDatasetSize()).isEqualTo(1024);
        assertThat(config.data().maxEvalSamples()).isEqualTo(1000);
        assertThat(config.data().sourceMaxLen()).isEqualTo(16);
        assertThat(config.data().targetMaxLen()).isEqualTo(512);
        TrainConfig train = config.train();
        assertThat(train.maxSteps()).isEqualTo(1875);
        assertThat(train.perDeviceTrainBatchSize()).isEqualTo(4);
        assertThat(train.gradientAccumulationSteps()).isEqualTo(4);
        assertThat(train.learningRate()).isEqualTo(1e-4);
        assertThat(train.saveSteps()).isEqualTo(200);
        assertThat(train.seed()).isZero();
        assertThat(train.dataSeed()).isEqualTo(42L);
        assertThat(train.sampleMaxNewTokens()).isEqualTo(32);
        assertThat(config.data().evalDatasetSize()).isEqualTo(1024);
        assertThat(config.eval().evalStrategy()).isEqualTo(EvalStrategy.STEPS);
        assertThat(config.eval().evalSteps()).isEqualTo(187);
        assertThat(config.eval().perDeviceEvalBatchSize()).isEqualTo(4);
        assertThat(config.eval().doEval()).isTrue();
        assertThat(overrides.notices())
                .extracting(notice ->
                        notice.substring(2, notice.indexOf(" has no effect")).split(" ")[0])
                .containsExactly("dataloader_num_workers", "do_mmlu_eval");
    }

    @ParameterizedTest
    @CsvSource({
        "--bf16, BFLOAT16",
        "--bf16 True, BFLOAT16",
        "--bf16=False, FLOAT32",
        "--bf16 no, FLOAT32",
        "--no_bf16, FLOAT32",
        "--fp16 False, BFLOAT16"
    })
    void truthFlags_areReadAsInTransformers(String line, ComputeDtype expected) {
        assertThat(read(line.split(" ")).quantization().computeDtype()).isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource({
        "--double_quant, true",
        "--double_quant False, false",
        "--no_double_quant, false",
        "--no-double-quant, false",
        "--double_quant 1, true"
    })
    void doubleQuant_mayStandAlone(String line, boolean expected) {
        assertThat(read(line.split(" ")).quantization().doubleQuant()).isEqualTo(expected);
    }

    @Test
    void itsOwnFlags_bringItsNumberOfSteps() {
        assertThat(read("--lora_r", "8").train().maxSteps()).isEqualTo(10_000);
        List<String> words = List.of("model.model_name_or_path=m", "data.dataset=d", "lora.r=8");
        assertThat(RunConfigReader.of(QloraFlags.parse(words)).train().maxSteps()).isNull();
        assertThat(read("--num_train_epochs", "2").train().maxSteps()).isNull();
    }

    @Test
    void bits_chooseWhetherWeightsAreQuantized() {
        assertThat(read("--bits", "4").quantization().load4bit()).isTrue();
        assertThat(read("--bits", "16").quantization().load4bit()).isFalse();
        assertThatThrownBy(() -> read("--bits", "8"))
                .hasMessage(
                        "--bits 8: weights are held in 4 bits, or with 16 and 32 as in the checkpoint; for 8 bits give quantization.load_in_8bit=true");
    }

    @Test
    void flagsAndWords_mayBeMixedTheLastHolds() {
        RunConfig config =
                read(
                        "--lora_r",
                        "8",
                        "lora.r=4",
                        "--bf16",
                        "lora.lora_alpha=2",
                        "--lora-dropout=0.1");
        assertThat(config.lora().r()).isEqualTo(4);
        assertThat(config.lora().loraAlpha()).isEqualTo(2);
        assertThat(config.lora().loraDropout()).isEqualTo(0.1);
    }

    @Test
    void shortenedFlag_isUnderstoodWhereItIsOneOnly() {
        assertThat(QloraFlags.parse(List.of("--use_auth")).notices())
                .containsExactly(
                        "--use_auth_token has no effect: the token of HF_TOKEN or of its file is used");
        assertThatThrownBy(() -> QloraFlags.parse(List.of("--lora_", "1")))
                .hasMessageStartingWith("--lora_: could be --lora_r, --lora_alpha,");
    }

    @Test
    void textValues_areTakenAsTheyStand() {
        assertThat(read("--model_name_or_path", "a: [b").model().modelNameOrPath())
                .isEqualTo("a: [b");
        assertThat(read("--model_name_or_path", "17").model().modelNameOrPath()).isEqualTo("17");
    }

    @Test
    void stepsAndEpochs_followTheTrainerOfHuggingFace() {
        Overrides both = QloraFlags.parse(List.of("--num_train_epochs", "3", "--max_steps", "20"));
        assertThat(both.notices())
                .containsExactly("--num_train_epochs has no effect: --max_steps goes before it");
        assertThat(both.settings())
                .extracting(Overrides.Setting::key)
                .containsExactly("train.max_steps");
        TrainConfig epochs = read("--num_train_epochs", "3", "--max_steps", "-1").train();
        assertThat(epochs.maxSteps()).isNull();
        assertThat(epochs.numTrainEpochs()).isEqualTo(3.0);
    }

    @Test
    void mistakes_areAllSaid() {
        assertThatThrownBy(() ->
                        QloraFlags.parse(
                                List.of(
                                        "--lora_rr",
                                        "8",
                                        "--max_steps",
                                        "--fp16",
                                        "--adam8bit",
                                        "stray",
                                        "--zzzzzzzzz",
                                        "--do_train",
                                        "False")))
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        """
                        --lora_rr: unknown flag; did you mean --lora_r?
                        --max_steps: needs a value, e.g. --max_steps VALUE
                        --fp16: float16 is not offered; use --bf16, or --bf16 False for float32
                        --adam8bit: qlora.py does not use this flag; choose an 8-bit optimizer with --optim
                        stray: expected a flag such as --max_steps 20, or key=value
                        --zzzzzzzzz: unknown flag
                        --do_train False: this command trains; leave the flag out\
                        """);
    }

    @Test
    void badValue_isNamedWithTheFlag() {
        assertThatThrownBy(() ->
                        read("--lora_r", "eight", "--double_quant=maybe", "--optim", "adafactor"))
                .hasMessage(
                        """
                        --double_quant maybe: quantization.bnb_4bit_use_double_quant must be true or false, got "maybe"
                        --lora_r eight: lora.r must be a whole number, got "eight"
                        --optim adafactor: train.optim must be paged_adamw_32bit, paged_adamw_8bit, adamw_torch or adamw_8bit, got "adafactor\"\
                        """);
    }
}
