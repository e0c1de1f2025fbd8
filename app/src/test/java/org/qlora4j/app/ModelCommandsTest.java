package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** {@code shrink}, {@code quantize} and {@code perplexity}, each on what the one before made. */
class ModelCommandsTest {
    private static final Pattern MEASURED =
            Pattern.compile(
                    "perplexity ([\\d.]+) per token, ([\\d.]+) bits per byte \\((\\d+) examples, (\\d+) tokens, (\\d+) bytes\\)");

    @TempDir Path folder;
    private TrainBed bed;

    @BeforeEach
    void layOut() {
        bed = new TrainBed(folder);
    }

    @Test
    void shrunkAndQuantizedModel_isReadByTheNextCommand() {
        Path small = folder.resolve("small");
        Path packed = folder.resolve("packed");
        ok("shrink", "--model", bed.model(), "--out", small, "--layers", "0");
        assertThat(bed.out()).startsWith(small + ": ").contains("M weights, of ");
        assertThat(config(small).get("num_hidden_layers").asInt()).isEqualTo(1);

        ok("quantize", "--model", small, "--out", packed, "--blocksize", "32");
        assertThat(bed.out()).startsWith(packed + ": weights in ");
        JsonNode quantization = config(packed).get("quantization_config");
        assertThat(quantization.get("bnb_4bit_quant_type").asString()).isEqualTo("nf4");
        assertThat(quantization.get("bnb_4bit_use_double_quant").asBoolean()).isTrue();

        ok("perplexity", "--model", packed, "--data", bed.data());
        assertThat(bed.out()).startsWith(packed + ": ");
    }

    /** Both figures are of one sum: bits per byte is tokens · log2(perplexity) / bytes. */
    @Test
    void perplexityAndBitsPerByte_agree() {
        ok("perplexity", "--model", bed.model(), "--data", bed.data(), "--no-quantize");
        Matcher measured = MEASURED.matcher(bed.out());
        assertThat(measured.find()).as(bed.out()).isTrue();
        double perplexity = Double.parseDouble(measured.group(1));
        double tokens = Double.parseDouble(measured.group(4));
        double bytes = Double.parseDouble(measured.group(5));
        assertThat(measured.group(3)).isEqualTo("8");
        assertThat(bytes).as("of 8 answers xyxy").isEqualTo(32);
        assertThat(Double.parseDouble(measured.group(2)))
                .isCloseTo(tokens * Math.log(perplexity) / Math.log(2) / bytes, within(1e-3));
    }

    /**
     * A run's newest checkpoint is merged, measured on the text given, and then needs no adapter.
     */
    @Test
    void mergedRun_isMeasuredAndAnswersAlone() throws IOException {
        // measured as the run computes: bf16 would show a divergence of its own rounding
        assertThat(bed.train("quantization.bnb_4bit_compute_dtype=float32"))
                .as("%s", bed.err())
                .isEqualTo(ExitCode.OK);
        Path out = folder.resolve("merged");
        ok(
                "merge",
                "--model",
                bed.model(),
                "--adapter",
                bed.run(),
                "--out",
                out,
                "--text",
                bed.data());
        assertThat(bed.out())
                .contains(out + ": ", " changed, in float32")
                .containsPattern("rounded to float32, 100.0% of what the adapter changes is left")
                .containsPattern("base \\+ adapter +\\d+\\.\\d+")
                .containsPattern("original +\\d\\.\\d+ +\\d+\\.\\d+")
                .containsPattern("dequantized +0\\.0000\\d +")
                .containsPattern("nf4 +\\d\\.\\d+ +")
                .containsPattern("ship \\w+ \\(");
        assertThat(out.resolve("tokenizer.json")).exists();
        assertThat(out.resolve("README.md"))
                .content()
                .contains("base_model: model\n", "| steps | 2 |", "rank 4", "| data (SHA-256) | ");
        JsonNode generation =
                new JsonMapper().readTree(TrainBed.read(out.resolve("generation_config.json")));
        assertThat(generation.get("eos_token_id").toString()).contains("2");
        ok("generate", "--model", out, "--prompt", "hi", "--greedy", "--max-new-tokens", "2");

        Path alone = folder.resolve("alone");
        String[] adapter = {"--model", bed.model().toString(), "--adapter", bed.run().toString()};
        ok(
                "export",
                adapter[0],
                adapter[1],
                adapter[2],
                adapter[3],
                "--format",
                "peft",
                "--out",
                alone);
        assertThat(bed.out())
                .startsWith(alone + ": adapter_config.json, adapter_model.safetensors");
        assertThat(alone.resolve("README.md")).content().contains("library_name: peft");
        assertThat(alone.resolve("optimizer.safetensors")).doesNotExist();
        Path both = folder.resolve("both");
        ok(
                "merge",
                adapter[0],
                adapter[1],
                adapter[2],
                adapter[3],
                adapter[2],
                alone,
                "--weights",
                "0.5,0.5",
                "--out",
                both);
        assertThat(bed.out()).contains("not measured: there is no one adapter to compare with");
        assertThat(both.resolve("model.safetensors"))
                .hasSize(Files.size(out.resolve("model.safetensors")));
    }

    @Test
    void weightsThatAreTooFew_areOneLine() {
        Path adapter = Path.of("../core/src/test/resources/tiny-llama/adapter").toAbsolutePath();
        int code =
                run(
                        "merge",
                        "--model",
                        bed.model(),
                        "--adapter",
                        adapter,
                        "--adapter",
                        adapter,
                        "--weights",
                        "1",
                        "--out",
                        folder.resolve("out"));
        bed.assertOneLine(code, "got 1 numbers for 2 adapters");
        code =
                run(
                        "merge",
                        "--model",
                        bed.model(),
                        "--adapter",
                        adapter,
                        "--adapter",
                        adapter,
                        "--combine",
                        "average",
                        "--out",
                        folder.resolve("out"));
        bed.assertOneLine(code, "average", "magnitude_prune");
    }

    @Test
    void unknownMergeTarget_isOneLine() {
        int code =
                run(
                        "merge",
                        "--model",
                        bed.model(),
                        "--adapter",
                        bed.model(),
                        "--out",
                        folder.resolve("out"),
                        "--into",
                        "int8");
        bed.assertOneLine(code, "original", "int8");
    }

    @Test
    void existingFolder_isRefused() {
        for (String command : new String[] {"shrink", "quantize"}) {
            int code = run(command, "--model", bed.model(), "--out", bed.model());
            bed.assertOneLine(code, bed.model(), "exists");
        }
    }

    @Test
    void layerThatIsNotThere_isOneLine() {
        Path out = folder.resolve("small");
        int code = run("shrink", "--model", bed.model(), "--out", out, "--layers", "0,99");
        bed.assertOneLine(code, "99");
        assertThat(out).doesNotExist();
    }

    @Test
    void unknownQuantType_isOneLine() {
        Path out = folder.resolve("packed");
        int code = run("quantize", "--model", bed.model(), "--out", out, "--quant-type", "int4");
        bed.assertOneLine(code, "int4", "nf4");
        assertThat(out).doesNotExist();
    }

    @Test
    void absentData_isOneLine() {
        Path absent = folder.resolve("absent.jsonl");
        bed.assertOneLine(run("perplexity", "--model", bed.model(), "--data", absent), absent);
    }

    private void ok(Object... arguments) {
        assertThat(run(arguments)).as("%s", bed.err()).isEqualTo(ExitCode.OK);
    }

    private int run(Object... arguments) {
        String[] words = new String[arguments.length];
        for (int i = 0; i < words.length; i++) {
            words[i] = arguments[i].toString();
        }
        return bed.command(words);
    }

    private static JsonNode config(Path model) {
        return new JsonMapper().readTree(TrainBed.read(model.resolve("config.json")));
    }
}
