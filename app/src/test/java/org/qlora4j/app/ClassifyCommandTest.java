package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code classify} and {@code eval glue} on a tiny RoBERTa that {@code train} made of nothing. */
class ClassifyCommandTest {
    private static final String CONFIG =
            """
            {"architectures": ["RobertaForMaskedLM"], "model_type": "roberta", "vocab_size": 160,
             "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
             "num_attention_heads": 4, "max_position_embeddings": 66, "type_vocab_size": 1,
             "layer_norm_eps": 1e-5, "hidden_act": "gelu", "pad_token_id": 0, "bos_token_id": 1,
             "eos_token_id": 2, "initializer_range": 0.3}
            """;

    @TempDir Path folder;
    private TrainBed bed;
    private Path shape;

    @BeforeEach
    void layOut() throws IOException {
        bed = new TrainBed(folder);
        shape = Files.createDirectory(folder.resolve("shape"));
        Files.writeString(shape.resolve("config.json"), CONFIG);
        for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
            Files.copy(bed.model(name), shape.resolve(name));
        }
    }

    /** Ten texts of one letter each, two kinds in turn. */
    private Path texts(String... kinds) {
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            lines.add(kinds[i % kinds.length]);
        }
        TrainBed.write(bed.data(), String.join("\n", lines) + "\n");
        return bed.data();
    }

    /** The checkpoint of all weights after 15 steps. */
    private Path trained(Path data, String labels) {
        ok(
                "train",
                "--model",
                shape,
                "--data",
                data,
                "--out",
                bed.run(),
                "--steps",
                15,
                "model.init=random",
                labels,
                "train.full_finetune=true",
                "train.learning_rate=0.01",
                "train.optim=adamw_torch",
                "train.per_device_train_batch_size=10",
                "train.gradient_accumulation_steps=1",
                "quantization.load_in_4bit=false");
        return bed.run().resolve("checkpoint-15");
    }

    private void ok(Object... words) {
        assertThat(run(words)).as("%s", bed.err()).isEqualTo(ExitCode.OK);
    }

    private int run(Object... words) {
        return bed.command(List.of(words).stream().map(Object::toString).toArray(String[]::new));
    }

    /**
     * The likeliest class comes first, and the figures follow by hand from what was told of each
     * text: of four, one is labelled otherwise.
     */
    @Test
    void classes_areToldAndComparedAsLabelled() {
        Path data =
                texts(
                        "{\"sentence\": \"aaa\", \"label\": \"no\"}",
                        "{\"sentence\": \"zzz\", \"label\": \"yes\"}");
        Path model = trained(data, "model.label_names=[no, yes]");
        assertThat(told(model, "zzz")).isEqualTo("yes");
        assertThat(told(model, "aaa")).isEqualTo("no");

        Path other = folder.resolve("other.jsonl");
        TrainBed.write(
                other,
                """
                {"sentence": "zzz", "label": "yes"}
                {"sentence": "aaa", "label": "no"}
                {"sentence": "aaa", "label": 0}
                {"sentence": "zzz", "label": 0}
                """);
        ok("eval", "glue", "--model", model, "--data", other, "--batch", 3, "--no-quantize");
        // one true yes, one false: precision 1/2, recall 1; (1·2 - 1·0) / √(2·1·3·2)
        assertThat(bed.out())
                .startsWith(other + ": 4 texts, loss ")
                .contains("accuracy 0.7500", "f1 0.6667", "matthews correlation 0.5774");
    }

    /** The class in the first of two lines; their probabilities sum to 1. */
    private String told(Path model, String text) {
        ok("classify", "--model", model, "--text", text, "--no-quantize");
        List<String[]> lines = bed.out().lines().map(line -> line.split("  ", 2)).toList();
        assertThat(lines).hasSize(2);
        double first = Double.parseDouble(lines.getFirst()[0]);
        assertThat(first).isGreaterThan(0.5);
        assertThat(first + Double.parseDouble(lines.getLast()[0])).isCloseTo(1, within(1e-4));
        return lines.getFirst()[1];
    }

    /** A pair is another text than its first half alone; the figures are those of numbers. */
    @Test
    void numbers_areToldOfPairs() {
        Path data =
                texts(
                        "{\"sentence1\": \"aaa\", \"sentence2\": \"b\", \"label\": -2.0}",
                        "{\"sentence1\": \"aaa\", \"sentence2\": \"z\", \"label\": 3.0}");
        Path model = trained(data, "model.num_labels=1");
        assertThat(number(model, "z")).isGreaterThan(number(model, "b") + 1);
        ok("eval", "glue", "--model", model, "--data", data, "--batch", 1, "--no-quantize");
        assertThat(bed.out())
                .startsWith(data + ": 10 texts, loss ")
                .contains("pearson 1.0000", "spearmanr 1.0000");
    }

    private double number(Path model, String pair) {
        ok("classify", "--model", model, "--text", "aaa", "--pair", pair, "--no-quantize");
        assertThat(bed.out()).matches("-?\\d+\\.\\d{4}\\R");
        return Double.parseDouble(bed.out().strip());
    }

    /** Each of the 500,000 classes more is a row of 32 and a bias: 0.0165 billion weights. */
    @Test
    void plan_countsTheClassesOfItsSettings() {
        String model = "model.model_name_or_path=" + shape;
        ok("plan", model, "model.num_labels=2");
        assertThat(bed.out()).startsWith("shape: 0.00B weights; ");
        ok("plan", model, "model.num_labels=500002");
        assertThat(bed.out()).startsWith("shape: 0.02B weights; ");
    }

    @Test
    void modelThatWritesTexts_isOneLine() {
        bed.assertOneLine(
                run("classify", "--model", bed.model(), "--text", "hello"),
                "models of type llama write texts and classify none");
        bed.assertOneLine(
                run("eval", "glue", "--model", bed.model(), "--data", bed.data(), "--batch", 0),
                "--batch must be at least 1, got 0");
    }
}
