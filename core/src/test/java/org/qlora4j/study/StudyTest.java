package org.qlora4j.study;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.config.RunConfig;
import org.qlora4j.eval.Perplexity;
import org.qlora4j.export.ModelFolder;
import org.qlora4j.kernel.DeviceChoice;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.testing.TinyLlama;

class StudyTest {
    private static final List<String> TWO_STEPS =
            List.of(
                    "data.eval_dataset_size=4",
                    "train.max_steps=2",
                    "train.gradient_accumulation_steps=1",
                    "train.learning_rate=0.01");

    @TempDir Path folder;
    private final List<String> settings = new ArrayList<>();

    @BeforeEach
    void settings() throws IOException {
        Path data = folder.resolve("data.jsonl");
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 12; i++) {
            lines.append("{\"input\": \"say %d: \", \"output\": \"xy%dxy\"}%n".formatted(i, i % 3));
        }
        Files.writeString(data, lines);
        settings.add("model.model_name_or_path=" + TinyLlama.folder());
        settings.add("data.dataset=" + data);
        settings.add("quantization.bnb_4bit_compute_dtype=float32");
    }

    private static StudyConfig config(String text, Path folder) throws IOException {
        Path file = folder.resolve("study.yaml");
        Files.writeString(file, text);
        return StudyConfig.read(file);
    }

    private Map<String, StudyTable.Row> rows(
            String study, StudyConfig config, List<String> measured) {
        Map<String, StudyTable.Row> rows = new LinkedHashMap<>();
        StudyFolder.open(folder.resolve("out"), study, config, settings)
                .table(measured::add)
                .rows()
                .forEach(row -> rows.put(row.name(), row));
        return rows;
    }

    @Test
    void datatypes_areMeasuredOnceAndComparedWithTheModelAsItIs() throws IOException {
        StudyConfig config =
                config("datatypes: [nf4, nf2, int8]\nblock_sizes: 32\ndouble_quant: false", folder);
        List<String> measured = new ArrayList<>();
        Map<String, StudyTable.Row> rows = rows("datatypes", config, measured);
        assertThat(measured).containsExactly("as-is", "nf4-32", "nf2-32", "int8");

        RunConfig run = RunConfig.of(settings.toArray(String[]::new));
        Perplexity.Result peer =
                Perplexity.measure(
                        TinyLlama.folder(),
                        run.quantization().withLoad4bit(false),
                        run.data(),
                        DeviceChoice.AUTO);
        assertThat(row(rows, "as-is").perplexity())
                .isCloseTo(peer.perToken(), within(1e-4 * peer.perToken()));
        assertThat(row(rows, "as-is").bits()).isEqualTo(32);
        assertThat(row(rows, "int8").error()).isLessThan(0.02);
        assertThat(row(rows, "nf4-32").error()).isBetween(0.05, 0.12);
        assertThat(row(rows, "nf2-32").error()).isGreaterThan(0.3);
        double change = Math.log(row(rows, "nf2-32").perplexity() / peer.perToken());
        assertThat(row(rows, "nf2-32").change()).isCloseTo(change, within(1e-4));
        assertThat(row(rows, "nf2-32").interval().low()).isLessThan(change);
        assertThat(row(rows, "nf2-32").interval().high()).isGreaterThan(change);

        measured.clear();
        Files.delete(folder.resolve("out/cells/nf2-32.json"));
        assertThat(rows("datatypes", config, measured)).isEqualTo(rows);
        assertThat(measured).containsExactly("nf2-32");
        assertThat(folder.resolve("out/study.md")).content().contains("| nf2-32 | 3.000 | 0.");
        assertThat(folder.resolve("out/study.svg")).content().startsWith("<svg");

        settings.add("data.max_train_samples=3");
        assertThatThrownBy(() -> rows("datatypes", config, measured))
                .hasMessageContaining("was measured with other settings; name another --out");
    }

    @Test
    void finetunings_areComparedOverSeeds() throws IOException {
        settings.addAll(TWO_STEPS);
        List<String> measured = new ArrayList<>();
        Map<String, StudyTable.Row> rows =
                rows(
                        "precision",
                        config("precisions: [16bit, int8, nf4-dq]\nseeds: [3, 4]", folder),
                        measured);
        assertThat(measured)
                .containsExactly(
                        "16bit-s3", "16bit-s4", "int8-s3", "int8-s4", "nf4-dq-s3", "nf4-dq-s4");
        assertThat(row(rows, "nf4-dq").seeds()).isEqualTo(2);
        assertThat(row(rows, "nf4-dq").bits()).isBetween(4.1, 5.0);
        // rounding to 8 bits moves next to nothing, to 4 something
        assertThat(Math.abs(row(rows, "int8").change())).isLessThan(0.05).isGreaterThan(0);
        assertThat(row(rows, "int8").bits()).isBetween(8.0, 10.0);
        assertThat(row(rows, "nf4-dq").interval().low()).isLessThan(row(rows, "nf4-dq").change());
    }

    /** As the embedded model is: its weights are decoded first, or all cells would be in NF4. */
    @Test
    void baseInFourBits_isFinetunedInOtherPrecisionsToo() throws IOException {
        Path packed = folder.resolve("packed");
        ModelFolder.quantize(TinyLlama.folder(), QuantConfig.DEFAULT, packed);
        settings.set(0, "model.model_name_or_path=" + packed);
        settings.addAll(
                List.of(
                        "data.eval_dataset_size=4",
                        "train.max_steps=1",
                        "train.gradient_accumulation_steps=1"));
        Map<String, StudyTable.Row> rows =
                rows(
                        "precision",
                        config("precisions: [16bit, int8, fp4]\nseeds: 3", folder),
                        new ArrayList<>());
        double nats = Math.log(row(rows, "16bit").perplexity());
        assertThat(row(rows, "16bit").bits()).isEqualTo(32); // as it is held in f32
        assertThat(row(rows, "fp4").bits()).isBetween(4.4, 5.5);
        double eight = Math.abs(row(rows, "int8").change());
        assertThat(eight).isLessThan(0.02 * nats).isGreaterThan(0);
        assertThat(Math.abs(row(rows, "fp4").change())).isGreaterThan(eight);
    }

    @Test
    void adapters_differByPlaceAndRank() throws IOException {
        settings.addAll(TWO_STEPS);
        StudyConfig config =
                config("targets: {all: all-linear, q: [q_proj]}\nranks: [2]\nseeds: [1]", folder);
        Map<String, StudyTable.Row> rows = rows("adapters", config, new ArrayList<>());
        assertThat(rows).containsOnlyKeys("all-r2", "q-r2");
        assertThat(row(rows, "q-r2").perplexity()).isNotEqualTo(row(rows, "all-r2").perplexity());
        assertThat(folder.resolve("out/runs/q-r2-s1/checkpoint-2/adapter_config.json"))
                .content()
                .contains("q_proj")
                .doesNotContain("v_proj");
    }

    @Test
    void mistakes_nameFileAndKey() throws IOException {
        assertThatThrownBy(() -> config("block_size: 64", folder))
                .hasMessageEndingWith(
                        "study.yaml: unknown key block_size; did you mean block_sizes?");
        assertThatThrownBy(() -> config("datatypes: [nf5]", folder))
                .hasMessageContaining("datatypes must be of nf4, fp4");
        assertThatThrownBy(() -> config("block_sizes: [a]", folder))
                .hasMessageContaining("block_sizes must list values such as 64, got a");
        assertThatThrownBy(() -> config("precisions: [nf4]\nseeds: []", folder))
                .hasMessageContaining("seeds is empty");
        StudyConfig plain = StudyConfig.DEFAULT;
        assertThatThrownBy(() -> rows("precision", plain, new ArrayList<>()))
                .hasMessageContaining("needs held-out examples");
        assertThatThrownBy(() -> rows("datatype", plain, new ArrayList<>()))
                .hasMessageContaining("there are datatypes, adapters, precision");
    }

    private static StudyTable.Row row(Map<String, StudyTable.Row> rows, String name) {
        return requireNonNull(rows.get(name), name);
    }

    /** Rows are compared with the first, which must be the same in every process. */
    @Test
    void defaultTargets_beginWithAllLinears() {
        assertThat(StudyConfig.DEFAULT.targets().keySet()).containsExactly("all", "attention");
    }
}
