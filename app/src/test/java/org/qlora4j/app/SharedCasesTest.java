package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.LanguageModel;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;

/**
 * The models, adapters and configs among the shared cases of what went wrong elsewhere, by the
 * commands of their notes. Perplexities are those notes' (transformers 5.23), numbers of adapters
 * those of PEFT 0.21 (check_cases.py).
 */
class SharedCasesTest {
    private static final Path CASES =
            Path.of(System.getProperty("qlora.shared", "missing"), "cases").toAbsolutePath();

    @TempDir Path folder;

    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @BeforeAll
    static void sharedFolder_exists() {
        assumeTrue(Files.isDirectory(CASES), "no folder " + CASES + " (-Dqlora.shared)");
    }

    private int run(Object... arguments) {
        String[] words = new String[arguments.length];
        for (int i = 0; i < words.length; i++) {
            words[i] = arguments[i].toString();
        }
        return Main.run(words, new PrintWriter(out, true), new PrintWriter(err, true));
    }

    private int perplexity(String model) {
        return run(
                "perplexity",
                "--no-quantize",
                "--data",
                CASES.resolve("model/data/eval.jsonl"),
                "--model",
                CASES.resolve("model/" + model),
                "quantization.bnb_4bit_compute_dtype=float32");
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "01-tied-flag-own-head/model|154.474|tie_word_embeddings is true, but lm_head.weight differs",
                "02-rope-both-spellings/model|157.548|",
                "03-bnb-skip-modules/model|180.513|",
                "09-key-prefix/no-prefix|154.474|",
                "09-key-prefix/tied-only-lm_head|155.640|",
                "12-unused-or-missing-unsaid/biases-but-flag-off|217.125|8 tensors of the checkpoint are not used",
                "12-unused-or-missing-unsaid/third-layer-unused|154.474|9 tensors of the checkpoint are not used",
                "12-unused-or-missing-unsaid/untied-no-head|155.640|the checkpoint has no head; the embeddings",
                "13-config-values/infinity|154.474|",
                "14-gguf-f32-rounded/model/model.gguf|228.400|",
            })
    void model_givesItsPerplexityAndSaysWhatIsOdd(String model, double right, String said) {
        assertThat(perplexity(model)).as(err.toString()).isEqualTo(ExitCode.OK);
        String shown = out.toString().replaceAll("(?s).*perplexity ([0-9.]+) per token.*", "$1");
        assertThat(Double.parseDouble(shown)).isCloseTo(right, Offset.offset(0.002));
        if (said == null) {
            assertThat(err.toString()).doesNotContain("warning");
        } else {
            assertThat(err.toString()).contains(said);
        }
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "10-quantized-elsewhere/gptq|quantized by gptq, which is not read; name the model",
                "10-quantized-elsewhere/awq|quantized by awq, which is not read; name the model",
                "10-quantized-elsewhere/mlx|quantized by MLX, which is not read; name the model",
                "13-config-values/rope_scaling-text|rope_scaling must be an object or null, got \"linear\"",
            })
    void modelThatIsNotRead_isRefusedWithTheReason(String model, String reason) {
        assertThat(perplexity(model)).isEqualTo(ExitCode.USER_ERROR);
        assertThat(err.toString().lines()).hasSize(1);
        assertThat(err.toString()).contains(reason);
    }

    @Test
    void headIn4Bits_isDecoded() {
        assertThat(perplexity("10-quantized-elsewhere/bnb-head-in-4bit")).isEqualTo(ExitCode.OK);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "04-adapter-resized-vocab/resized, -81.254898",
        "04-adapter-resized-vocab/same-size, -83.326866",
        "05-adapter-init-only-fields/eva, -79.335777",
        "05-adapter-init-only-fields/layers_pattern, -81.549767",
        "05-adapter-init-only-fields/loftq_config_unused, -82.048996",
        "12-unused-or-missing-unsaid/adapter-half, -81.322372",
    })
    void adapter_givesWhatPeftGives(String adapter, double right) {
        QuantConfig plain = new QuantConfig(false, QuantType.NF4, false, 64, ComputeDtype.FLOAT32);
        try (LanguageModel model =
                LanguageModel.load(CASES.resolve("model/base"), plain)
                        .withAdapter(CASES.resolve("model/" + adapter))) {
            assertThat(model.logProbabilities(List.of("the cat sat on a mat")).getFirst().sum())
                    .isCloseTo(right, Offset.offset(1e-4));
        }
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "09-plan-config/biglayers.config.json|num_hidden_layers must be at most 10000, got 2147483647",
                "09-plan-config/headdim0.config.json|leaves a head_dim of 0; it must be 2 at least",
            })
    void absurdConfig_isRefusedAtOnce(String config, String reason) throws IOException {
        Files.copy(CASES.resolve("hostile/" + config), folder.resolve("config.json"));
        assertThat(run("plan", "model.model_name_or_path=" + folder))
                .isEqualTo(ExitCode.USER_ERROR);
        assertThat(err.toString().lines()).hasSize(1);
        assertThat(err.toString()).contains("config.json").contains(reason);
    }

    /** An object where a truth value stands, in a key that decides nothing here. */
    @Test
    void wrongTypeInAKeyNobodyNeeds_isNoDefect() throws IOException {
        Files.copy(
                CASES.resolve("hostile/06-config-json-uncaught/config.json"),
                folder.resolve("config.json"));
        assertThat(run("plan", "model.model_name_or_path=" + folder))
                .as(err.toString())
                .isEqualTo(ExitCode.OK);
    }

    @Test
    void fractionOfAWeight_isRefused() {
        Path data = CASES.resolve("data/15-weight-as-text/half.jsonl");
        assertThat(run("data", "inspect", data, "--model", "embedded"))
                .isEqualTo(ExitCode.USER_ERROR);
        assertThat(err.toString())
                .contains("half.jsonl:1: messages[1].weight must be 0 or 1, got the number 0.5");
    }
}
