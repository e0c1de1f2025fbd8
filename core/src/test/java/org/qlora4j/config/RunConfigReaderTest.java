package org.qlora4j.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.DeviceChoice;
import org.qlora4j.lora.LoraConfig;
import org.qlora4j.lora.LoraInit;
import org.qlora4j.lora.TargetModules;
import org.qlora4j.optim.LrSchedulerKwargs;
import org.qlora4j.optim.LrSchedulerType;
import org.qlora4j.optim.OptimConfig;
import org.qlora4j.optim.OptimType;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;

class RunConfigReaderTest {
    /** The least a file must say; five lines, so that what a test adds begins on line 6. */
    private static final String LEAST =
            """
            version: 1
            model:
              model_name_or_path: org/model
            data: {dataset: alpaca}
            # line 5
            """;

    @TempDir Path folder;
    private Path file = Path.of("");

    @BeforeEach
    void nameFile() {
        file = folder.resolve("train.yaml");
    }

    private RunConfig read(String yaml, String... words) throws IOException {
        Files.writeString(file, yaml);
        return RunConfigReader.read(file, Overrides.ofWords(List.of(words)));
    }

    /** Lines of the message, without the name of the file. */
    private List<String> problems(String yaml, String... words) {
        try {
            read(yaml, words);
        } catch (ConfigException e) {
            return Objects.requireNonNull(e.getMessage())
                    .lines()
                    .map(line -> line.replace(file + ":", ""))
                    .toList();
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        return List.of();
    }

    @Test
    void eightBits_takeThePlaceOfFour() {
        QuantConfig eight =
                RunConfig.of(
                                "model.model_name_or_path=m",
                                "data.dataset=d.jsonl",
                                "quantization.load_in_8bit=true")
                        .quantization();
        assertThat(eight.load8bit()).isTrue();
        assertThat(eight.load4bit()).isFalse();
        assertThat(eight.int8Threshold()).isEqualTo(6);
        assertThatThrownBy(() ->
                        RunConfig.of(
                                "model.model_name_or_path=m",
                                "data.dataset=d.jsonl",
                                "quantization.load_in_8bit=true",
                                "quantization.load_in_4bit=true"))
                .hasMessageContaining(
                        "quantization.load_in_4bit must be false where load_in_8bit is true");
    }

    @Test
    void keptBlocks_takeThePlaceOfFourBits() {
        QuantConfig kept =
                RunConfig.of(
                                "model.model_name_or_path=m",
                                "data.dataset=d.jsonl",
                                "quantization.keep_quantization=true")
                        .quantization();
        assertThat(kept).isEqualTo(QuantConfig.DEFAULT.keepingStored());
        assertThatThrownBy(() ->
                        RunConfig.of(
                                "model.model_name_or_path=m",
                                "data.dataset=d.jsonl",
                                "quantization.keep_quantization=true",
                                "quantization.load_in_8bit=true"))
                .hasMessageContaining(
                        "quantization.load_in_8bit must be false where keep_quantization is true");
        assertThatThrownBy(() ->
                        RunConfig.of(
                                "model.model_name_or_path=m",
                                "data.dataset=d.jsonl",
                                "train.full_finetune=true",
                                "quantization.keep_quantization=true"))
                .hasMessageContaining(
                        "train.full_finetune must be false where quantization.keep_quantization is true");
    }

    @Test
    void exampleFile_givesItsValues() throws Exception {
        Path example =
                Path.of(Objects.requireNonNull(getClass().getResource("example.yaml")).toURI());
        RunConfig config = RunConfigReader.read(example);
        Path base = Objects.requireNonNull(example.getParent());
        assertThat(config.model().modelNameOrPath())
                .isEqualTo(base.resolve("tiny-model").toString());
        assertThat(config.model().device()).isEqualTo(DeviceChoice.CPU);
        assertThat(config.quantization())
                .isEqualTo(new QuantConfig(true, QuantType.FP4, false, 128, ComputeDtype.FLOAT32));
        assertThat(config.lora())
                .isEqualTo(
                        new LoraConfig(
                                8,
                                32,
                                0.05,
                                new TargetModules.Named(List.of("q_proj", "v_proj")),
                                new TargetModules.Matching(".*\\.0\\..*"),
                                true,
                                Map.of("v_proj", 4, "layers\\.1\\..*", 2),
                                Map.of("v_proj", 2.5),
                                List.of(0, 1),
                                LoraInit.GAUSSIAN,
                                false,
                                null));
        assertThat(config.lora().rankPattern())
                .containsExactly(Map.entry("v_proj", 4), Map.entry("layers\\.1\\..*", 2));
        assertThat(config.data().dataset())
                .hasToString(base.resolve("data/train.jsonl").toString());
        assertThat(config.data().sourceMaxLen()).isEqualTo(512);
        assertThat(config.data().groupByLength()).isFalse();
        TrainConfig train = config.train();
        assertThat(train.outputPath()).isEqualTo(base.resolveSibling("runs").resolve("example"));
        assertThat(train.maxSteps()).isNull();
        assertThat(train.numTrainEpochs()).isEqualTo(3.0);
        assertThat(train.learningRate()).isEqualTo(2e-4);
        assertThat(train.lrSchedulerType()).isEqualTo(LrSchedulerType.COSINE);
        assertThat(train.optimizer())
                .isEqualTo(new OptimConfig(OptimType.ADAMW_TORCH, 0.9, 0.95, 1e-8, 0.01));
        assertThat(train.dataSeed()).isEqualTo(42L);
        assertThat(train.samplePrompt())
                .containsExactly("What is NF4?", "Two lines:\nthe second.\n");
        assertThat(train.saveSteps()).isEqualTo(250);
    }

    @Test
    void device_isOneOfThree() throws IOException {
        assertThat(read(LEAST).model().device()).isEqualTo(DeviceChoice.AUTO);
        String onGpu = LEAST.replace("org/model\n", "org/model\n  device: cuda:0\n");
        assertThat(read(onGpu).model().device()).isEqualTo(DeviceChoice.CUDA_0);
        assertThat(read(LEAST, "model.device=cuda:0").model().device())
                .isEqualTo(DeviceChoice.CUDA_0);
        assertThat(problems(LEAST, "model.device=cuda"))
                .containsExactly(
                        "model.device=cuda: model.device must be auto, cpu or cuda:0, got \"cuda\"");
    }

    /**
     * The defaults of qlora.py at 7f4e95a; learning rate, compute type and seed are said elsewhere.
     */
    @Test
    void leastFile_givesTheDefaultsOfQloraPy() throws Exception {
        RunConfig config = read(LEAST);
        assertThat(config.quantization()).isEqualTo(new QuantConfig(true, QuantType.NF4, true, 64));
        assertThat(config.lora()).isEqualTo(LoraConfig.DEFAULT);
        assertThat(config.train())
                .isEqualTo(
                        new TrainConfig(
                                folder.resolve("output").toString(),
                                false,
                                null,
                                null,
                                1,
                                16,
                                null,
                                LrSchedulerType.CONSTANT,
                                LrSchedulerKwargs.NONE,
                                0.03,
                                0,
                                OptimType.PAGED_ADAMW_32BIT,
                                null,
                                0,
                                0.9,
                                0.999,
                                1e-8,
                                0.3,
                                true,
                                42,
                                null,
                                10,
                                250,
                                40,
                                0,
                                60,
                                1,
                                List.of(),
                                256,
                                0,
                                List.of(ReportKind.HTML)));
    }

    @Test
    void words_goBeforeTheFileAndTheLastBeforeTheFirst() throws Exception {
        RunConfig config =
                read(
                        LEAST + "lora: {r: 16, lora_alpha: 8}\n",
                        "lora.r=4",
                        "lora.r=8",
                        "lora.target_modules=[q_proj,v_proj]",
                        "train.sample_prompt=Who are you?",
                        "train.learning_rate=null",
                        "lora.layers_to_transform=3");
        assertThat(config.lora().r()).isEqualTo(8);
        assertThat(config.lora().loraAlpha()).isEqualTo(8);
        assertThat(config.lora().targetModules())
                .isEqualTo(new TargetModules.Named(List.of("q_proj", "v_proj")));
        assertThat(config.lora().layersToTransform()).containsExactly(3);
        assertThat(config.train().samplePrompt()).containsExactly("Who are you?");
        assertThat(config.train().learningRate()).isNull();
    }

    @Test
    void stepsOrEpochs_theUpperLayerHolds() throws Exception {
        TrainConfig byEpochs =
                read(LEAST + "train: {max_steps: 5}\n", "train.num_train_epochs=2").train();
        assertThat(byEpochs.maxSteps()).isNull();
        assertThat(byEpochs.numTrainEpochs()).isEqualTo(2);
        TrainConfig bySteps =
                read(LEAST + "train: {num_train_epochs: 2}\n", "train.max_steps=5").train();
        assertThat(bySteps.maxSteps()).isEqualTo(5);
        assertThat(bySteps.numTrainEpochs()).isNull();
        assertThat(problems(LEAST + "train: {num_train_epochs: 2, max_steps: 5}\n"))
                .containsExactly(
                        "6:9: train.num_train_epochs must not stand beside train.max_steps, got 2.0 and 5; leave one out");
        assertThat(problems(LEAST + "train: {num_train_epochs: 0}\n"))
                .containsExactly("6:9: train.num_train_epochs must be above 0, got 0.0");
    }

    /** Three passes; up to 25 where those are fewer than 100 steps; qlora.py's 10,000 at most. */
    @ParameterizedTest
    @CsvSource({
        "1, 25",
        "2, 50",
        "4, 100",
        "5, 100",
        "9, 108",
        "33, 132",
        "34, 102",
        "3250, 9750",
        "3334, 10000",
        "1000000000, 10000"
    })
    void stepsLeftOut_followTheSizeOfTheData(int stepsPerEpoch, int expected) throws Exception {
        assertThat(read(LEAST).train().totalSteps(stepsPerEpoch)).isEqualTo(expected);
    }

    @Test
    void preset_liesBeneathTheFile() throws Exception {
        Files.writeString(file, LEAST);
        Overrides preset = Overrides.NONE.over(Preset.of("paper"));
        assertThat(RunConfigReader.read(file, preset).train().maxSteps()).isEqualTo(10_000);
        Files.writeString(file, LEAST + "train: {num_train_epochs: 2}\n");
        TrainConfig train = RunConfigReader.read(file, preset).train();
        assertThat(train.maxSteps()).isNull();
        assertThat(train.numTrainEpochs()).isEqualTo(2);
        assertThatThrownBy(() -> Preset.of("papre"))
                .hasMessage("--preset must be paper, got papre");
    }

    @Test
    void manyMistakes_areAllSaidWithTheirPlace() {
        String yaml =
                LEAST
                        + """
                        lora:
                          rnak: 8
                          r: 0
                          lora_dropout: 1.5
                          lora_alpha: high
                          target_modules: []
                          init_lora_weights: pizza
                        train:
                          optim: adafactor
                          max_steps: 1.5
                          seed: "7"
                          output_dir: 5
                          lr: 1e-4
                        quantization:
                          bnb_4bit_blocksize: 100
                          load_in_4bit: yes
                        modle: {}
                        """;
        assertThat(problems(yaml, "train.threads=-1", "lora.rnak=8"))
                .containsExactlyInAnyOrder(
                        "7:3: unknown key lora.rnak; did you mean lora.r?",
                        "8:3: lora.r must be at least 1, got 0",
                        "9:3: lora.lora_dropout must be in [0, 1), got 1.5",
                        "10:3: lora.lora_alpha must be a number, got \"high\"",
                        "11:3: lora.target_modules is an empty list; name at least one layer, e.g. q_proj",
                        "12:3: lora.init_lora_weights must be true, gaussian, pissa or pissa_niter_N, got pizza",
                        "14:3: train.optim must be paged_adamw_32bit, paged_adamw_8bit, adamw_torch or adamw_8bit, got \"adafactor\"",
                        "15:3: train.max_steps must be a whole number or null, got 1.5",
                        "16:3: train.seed must be a whole number, got \"7\"",
                        "17:3: train.output_dir must be text, got 5; write it in quotes",
                        "18:3: unknown key train.lr; did you mean train.learning_rate?",
                        "20:3: quantization.bnb_4bit_blocksize must be a power of two from 32 to 4096, got 100",
                        "21:3: quantization.load_in_4bit must be true or false, got \"yes\"",
                        "22:1: unknown key modle; did you mean model?",
                        "train.threads=-1: train.threads must be at least 0, got -1",
                        "lora.rnak=8: unknown key lora.rnak; did you mean lora.r?");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    max_steps: 5                         | unknown key max_steps; did you mean train.max_steps?
                    lora: {rank: 5}                      | unknown key lora.rank; did you mean lora.r?
                    lora: {alpha: 5}                     | unknown key lora.alpha; did you mean lora.lora_alpha?
                    lora: {target_module: q}             | unknown key lora.target_module; did you mean lora.target_modules?
                    train: {batch_size: 5}               | unknown key train.batch_size; did you mean train.per_device_train_batch_size?
                    train: {lora_r: 5}                   | unknown key train.lora_r; did you mean lora.r?
                    train: {num_epochs: 5}               | unknown key train.num_epochs; did you mean train.num_train_epochs?
                    training: {max_steps: 5}             | unknown key training; there are version, model, quantization, lora, data, distill, train, eval
                    model: {base_model: a}               | unknown key model.base_model; did you mean model.model_name_or_path?
                    quantization: {quant_type: a}        | unknown key quantization.quant_type; did you mean quantization.bnb_4bit_quant_type?
                    train: {learning-rate: 1}            | unknown key train.learning-rate; did you mean train.learning_rate?
                    quantization: {zzzzzzzz: 1}          | unknown key quantization.zzzzzzzz; quantization has load_in_4bit, bnb_4bit_quant_type, bnb_4bit_use_double_quant, bnb_4bit_blocksize, bnb_4bit_compute_dtype, load_in_8bit, llm_int8_threshold, keep_quantization
                    """)
    void unknownKey_hintsAtTheKnown(String line, String expected) {
        String base = line.startsWith("model:") ? "version: 1\ndata: {dataset: a}\n" : LEAST;
        assertThat(problems(base + line + "\n", "model.model_name_or_path=m"))
                .singleElement()
                .asString()
                .endsWith(": " + expected);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                            lora: {r: 99999999999}                 | 6:8: lora.r must be a whole number, got 99999999999, which is too large
                            lora: {r: true}                        | 6:8: lora.r must be a whole number, got true
                            lora: {r: null}                        | 6:8: lora.r must be a whole number, got null
                            lora: {r: [1, 2]}                      | 6:8: lora.r must be a whole number, got [1,2]
                            lora: {r: {a: 1}}                      | 6:8: lora.r must be a whole number, got {"a":1}
                            lora: {lora_alpha: .inf}               | 6:8: lora.lora_alpha must be above 0 and fit 32 bits, got Infinity
                            lora: {lora_dropout: .nan}             | 6:8: lora.lora_dropout must be in [0, 1), got NaN
                            lora: {lora_alpha: 1e999}              | 6:8: lora.lora_alpha must be above 0 and fit 32 bits, got Infinity
                            lora: {use_rslora: 1}                  | 6:8: lora.use_rslora must be true or false, got 1
                            lora: {rank_pattern: 5}                | 6:8: lora.rank_pattern must be a map of text to whole number, got 5
                            lora: {rank_pattern: {q: a}}           | 6:8: lora.rank_pattern must be a map of text to whole number, got {"q":"a"}
                            lora: {rank_pattern: {q: null}}        | 6:8: lora.rank_pattern must be a map of text to whole number, got {"q":null}
                            lora: {layers_to_transform: [1, null]} | 6:8: lora.layers_to_transform must be a list of whole number or null, got [1,null]
                            lora: {target_modules: "("}            | 6:8: lora.target_modules is not a regular expression: Unclosed group at index 1 of (
                            lora: {target_modules: [a, 5]}         | 6:8: lora.target_modules must list names of layers, got 5 among them
                            lora: {target_modules: null}           | 6:8: lora.target_modules must be all-linear, list of names or regular expression, got null
                    train: {optim: 0}                      | 6:9: train.optim must be paged_adamw_32bit, paged_adamw_8bit, adamw_torch or adamw_8bit, got 0
                            train: {optim: ADAMW_TORCH}            | 6:9: train.optim must be paged_adamw_32bit, paged_adamw_8bit, adamw_torch or adamw_8bit, got "ADAMW_TORCH"
                            train: {learning_rate: "2e-4"}         | 6:9: train.learning_rate must be a number or null, got "2e-4"
                            train: {warmup_steps: 5}               | 6:9: train.warmup_steps must be 0 with train.lr_scheduler_type constant, got 5; use constant_with_warmup
                            train: {output_dir: ""}                | 6:9: train.output_dir must name a folder, got an empty text
                            lora: 5                                | 6:1: lora must be a map of keys, got 5
                            lora: {r: 1, r: 2}                     | 6:14: lora.r stands a second time (first at 6:8); keep one
                            lora: {r: &x 2, lora_alpha: *x}        | 6:29: aliases (*x) are not read; write the value out
                    """)
    void wrongValue_isNamedWithItsRule(String line, String expected) {
        assertThat(problems(LEAST + line + "\n")).first().isEqualTo(expected);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    lora.lora_dropout=.05     | lora.lora_dropout     | 0.05
                    lora.lora_alpha=+3        | lora.lora_alpha       | 3.0
                    lora.r=0x10               | lora.r                | 16
                    lora.r=0o17               | lora.r                | 15
                    lora.r=017                | lora.r                | 17
                    train.learning_rate=1e-4  | train.learning_rate   | 1.0E-4
                    train.max_steps=~         | train.max_steps       | null
                    lora.use_rslora=TRUE      | lora.use_rslora       | true
                    """)
    void numbers_areReadAsYaml12Says(String word, String key, String expected) throws Exception {
        String name = key.substring(key.indexOf('.') + 1);
        RunConfig config = read(LEAST, word, "train.num_train_epochs=1");
        assertThat(RunConfigWriter.toYaml(config)).contains("  " + name + ": " + expected + "\n");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    'version: 1\\nlora:\\n\\tr: 1\\n'    | 3:1: not valid YAML: found character '\\t(TAB)' that cannot start any token. (Do not use \\t(TAB) for indentation)
                    'version: 1\\nlora: [1, 2\\nb: 3\\n' | 3:2: not valid YAML: expected ',' or ']', but got :
                    'a: b: c\\n'                         | 1:5: not valid YAML: mapping values are not allowed here
                    'version: 1\\n? [q]\\n: 3\\n'        | 2:4: not valid YAML: Expected a property name (Scalar value in YAML), got this instead: +SEQ []
                    '- a\\n'                             | 1:1: must be a map of sections, got ["a"]
                    'version: 1\\n---\\nb: 1\\n'         | 3:1: a second document begins; keep one
                    """)
    void brokenYaml_isOneLineWithItsPlace(String yaml, String expected) {
        List<String> found = problems(yaml.replace("\\n", "\n").replace("\\t", "\t"));
        assertThat(found).contains(expected.strip());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    ''                    | ' is empty; begin with the line version: 1'
                    '# nothing'           | ' is empty; begin with the line version: 1'
                    'lora: {r: 1}'        | ' version is missing; add the line version: 1'
                    'version: 2'          | '1:1: version 2 is newer than this qlora4j reads (1); update qlora4j'
                    'version: 99999999999'| '1:1: version 99999999999 is newer than this qlora4j reads (1); update qlora4j'
                    'version: 0'          | '1:1: version must be 1, got 0'
                    'version: one'        | '1:1: version must be 1, got "one"'
                    """)
    void version_mustBeThatOfThisFormat(String yaml, String expected) {
        assertThat(problems(yaml + "\n")).first().isEqualTo(expected);
    }

    @Test
    void requiredKeysMissing_areNamed() {
        assertThat(problems("version: 1\nlora:\n"))
                .hasSize(2)
                .anySatisfy(line ->
                        assertThat(line).startsWith(" model.model_name_or_path is missing: "))
                .anySatisfy(line -> assertThat(line).startsWith(" data.dataset is missing: "));
    }

    @Test
    void mistakeUndoneOfOneKey_blamesNoOther() {
        assertThat(
                        problems(
                                LEAST
                                        + "train: {max_steps: -5, warmup_steps: 12000, lr_scheduler_type: linear}\n"))
                .containsExactly(
                        "6:9: train.max_steps must be at least 1, got -5; leave it out to train by num_train_epochs or by the size of the data");
    }

    @Test
    void fileMissingOrNoText_isAFormatError() throws Exception {
        assertThatThrownBy(() -> RunConfigReader.read(file))
                .isInstanceOf(FormatException.class)
                .hasMessage(file + ": no such file");
        assertThatThrownBy(() -> RunConfigReader.read(folder))
                .isInstanceOf(FormatException.class)
                .hasMessage(folder + ": cannot be read, is a folder");
        Files.write(file, new byte[] {'a', ':', (byte) 0xff});
        assertThatThrownBy(() -> RunConfigReader.read(file))
                .isInstanceOf(FormatException.class)
                .hasMessage(file + ": is not text in UTF-8; save it as such");
    }

    @Test
    void byteOrderMarkAndCrlf_areNoMatter() throws Exception {
        assertThat(read("\uFEFF" + LEAST.replace("\n", "\r\n"))).isEqualTo(read(LEAST));
    }

    @Test
    void words_withoutValueOrKey_areRefused() {
        assertThatThrownBy(() -> Overrides.ofWords(List.of("lora.r")))
                .hasMessage("lora.r: expected key=value, e.g. train.max_steps=20");
        assertThat(problems(LEAST, "lora.r="))
                .containsExactly("lora.r=: lora.r must be a whole number, got \"\"");
        assertThat(problems(LEAST, "lora.target_modules=[q"))
                .singleElement()
                .asString()
                .startsWith("lora.target_modules=[q: value at 1:");
        assertThat(problems(LEAST, "r=8"))
                .containsExactly("r=8: unknown key r; did you mean lora.r?");
        assertThat(problems(LEAST, "lora.rank_pattern.q_proj=8"))
                .containsExactly(
                        "lora.rank_pattern.q_proj=8: unknown key lora.rank_pattern.q_proj; did you mean lora.rank_pattern?");
    }

    @Test
    void paths_standRelativeToTheFileOrTheWorkingFolder() throws Exception {
        Files.createDirectories(folder.resolve("models/llama"));
        Files.createDirectories(folder.resolve("alpaca"));
        String yaml =
                "version: 1\nmodel: {model_name_or_path: models/llama}\ndata: {dataset: alpaca}\n";
        RunConfig config = read(yaml);
        assertThat(config.model().modelNameOrPath())
                .isEqualTo(folder.resolve("models/llama").toString());
        assertThat(config.data().dataset()).hasToString(folder.resolve("alpaca").toString());
        assertThat(config.train().outputPath()).isEqualTo(folder.resolve("output"));

        RunConfig said =
                read(
                        yaml,
                        "model.model_name_or_path=org/other",
                        "data.dataset=more.jsonl",
                        "train.output_dir=~/runs");
        Path here = Path.of("").toAbsolutePath();
        assertThat(said.model().modelNameOrPath()).isEqualTo("org/other");
        assertThat(said.data().dataset()).hasToString(here.resolve("more.jsonl").toString());
        assertThat(said.train().outputPath())
                .isEqualTo(Path.of(System.getProperty("user.home"), "runs"));
    }

    @Test
    void folderThatNoSystemAllows_isRefused() {
        assertThat(problems(LEAST + "train: {output_dir: \"a\\0b\"}\n"))
                .containsExactly("6:9: train.output_dir must name a folder, got a\0b");
    }

    @Test
    void runFolderIsTheModelsFolder_isRefused() {
        assertThat(problems(LEAST, "model.model_name_or_path=/m", "train.output_dir=/m/x/.."))
                .containsExactly(
                        "train.output_dir=/m/x/..: train.output_dir must not be the folder of the base model,"
                                + " got /m; name a new folder");
    }
}
