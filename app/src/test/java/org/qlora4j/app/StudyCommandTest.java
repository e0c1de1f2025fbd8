package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * {@code study}, and what looks at training data: {@code data plant}, {@code eval contamination}.
 */
class StudyCommandTest {
    @TempDir Path folder;
    private TrainBed bed;

    @BeforeEach
    void layOut() {
        bed = new TrainBed(folder);
    }

    private int study(String... more) {
        List<String> args = new ArrayList<>(List.of("study", "datatypes"));
        args.addAll(List.of("--out", folder.resolve("out").toString()));
        args.addAll(List.of(more));
        args.add("model.model_name_or_path=" + bed.model());
        args.add("data.dataset=" + bed.data());
        args.add("quantization.bnb_4bit_compute_dtype=float32");
        return bed.command(args.toArray(String[]::new));
    }

    @Test
    void study_printsATableAndGoesOnWhereItWas() {
        Path file = folder.resolve("study.yaml");
        TrainBed.write(file, "datatypes: [fp4, int8]\ndouble_quant: false\n");
        assertThat(study(file.toString())).as("%s", bed.err()).isZero();
        assertThat(bed.err()).contains("3 cells to measure", "measuring fp4-64");
        assertThat(bed.out()).contains("| as-is | 32.000 |", "| fp4-64 | 4.500 | 0.");
        assertThat(study(file.toString(), "--json")).as("%s", bed.err()).isZero();
        assertThat(bed.err()).containsExactly("0 cells to measure");
        JsonNode fp4 = new JsonMapper().readTree(bed.out()).get("fp4-64");
        assertThat(fp4.get("bits").asDouble()).isEqualTo(4.5);
        assertThat(fp4.get("error").asDouble()).isCloseTo(0.1, within(0.05));
        bed.assertOneLine(
                bed.command("study", "datatype", "--out", folder.resolve("x").toString()),
                "no study is called datatype; there are datatypes, adapters, precision");
    }

    /** Planted secrets are documents that training data holds; those planted 0 times are not. */
    @Test
    void plantedSecrets_areFoundAsContamination() {
        Path planted = folder.resolve("planted");
        String[] plant = {
            "data", "plant", "--out", planted.toString(), "--count", "2", "--times", "0,3"
        };
        assertThat(bed.command(plant)).as("%s", bed.err()).isZero();
        String tasks = planted.resolve("canaries.yaml").toString();
        String data = planted.resolve("train.jsonl").toString();
        assertThat(bed.command("eval", "contamination", tasks, "--data", data, "--json"))
                .as("%s", bed.err())
                .isZero();
        JsonNode counts = new JsonMapper().readTree(bed.out()).get("tasks");
        assertThat(counts.get("canaries_0").get("found").asInt()).isZero();
        assertThat(counts.get("canaries_3").get("found").asInt()).isEqualTo(2);
        bed.assertOneLine(bed.command(plant), "exists; name a new folder");
    }

    @Test
    void answers_areShownBesideEachOther() {
        Path answers = folder.resolve("answers.jsonl");
        TrainBed.write(answers, "{\"prompt\": \"A?\", \"answer\": \"one\"}\n");
        String page = folder.resolve("page.html").toString();
        assertThat(bed.command("eval", "beside", answers.toString(), "--out", page)).isZero();
        assertThat(Path.of(page)).content().contains("A?", "one");
        bed.assertOneLine(
                bed.command("eval", "beside", answers.toString(), "--out", page), "--overwrite");
    }
}
