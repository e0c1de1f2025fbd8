package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Settings and run folders that cannot be used, and runs that fail on their way. */
class BadSettingsTest {
    @TempDir Path folder;
    private TrainBed bed;

    @BeforeEach
    void layOut() {
        bed = new TrainBed(folder);
    }

    @Test
    void targetsThatMatchNothing() {
        bed.assertRefused(
                List.of("lora.target_modules=[query, value]"),
                "lora.target_modules [query, value] chooses no layer",
                "q_proj");
    }

    @Test
    void rankZero() {
        bed.assertRefused(List.of("lora.r=0"), "lora.r=0: ", "must be at least 1");
    }

    @Test
    void unknownKey() {
        bed.assertRefused(
                List.of("lora.lora_alhpa=3"), "lora.lora_alhpa", "did you mean", "lora_alpha");
    }

    @Test
    void unknownKeyInTheFile_namesLineAndColumn() {
        Path file = folder.resolve("train.yaml");
        TrainBed.write(file, "version: 1\nlora:\n  rnk: 3\n");
        int code =
                bed.command(
                        "train",
                        file.toString(),
                        "--model",
                        bed.model().toString(),
                        "--data",
                        bed.data().toString());
        bed.assertOneLine(code, file + ":3:3: ", "rnk");
    }

    @Test
    void unknownFlag() {
        bed.assertRefused(List.of("--max_stps", "3"), "--max_stps: unknown flag", "--max_steps?");
    }

    @Test
    void severalProblems_areALineEach() {
        int code = bed.train("lora.r=0", "--steps", "0", "data.nothing=1");
        assertThat(code).isEqualTo(ExitCode.USER_ERROR);
        assertThat(bed.err()).hasSize(3).allMatch(line -> line.startsWith("qlora: "));
        assertThat(bed.run()).doesNotExist();
    }

    @Test
    void missingSettingsFile() {
        int code = bed.command("train", folder.resolve("none.yaml").toString());
        bed.assertOneLine(code, folder.resolve("none.yaml"), "does not exist");
    }

    @Test
    void noModelAndNoData_areALineEach() {
        assertThat(bed.command("train")).isEqualTo(ExitCode.USER_ERROR);
        assertThat(bed.err())
                .anyMatch(line -> line.contains("model.model_name_or_path is missing"));
    }

    @Test
    void folderOfAnotherRun() {
        assertThat(bed.train()).isEqualTo(ExitCode.OK);
        bed.assertRefused(List.of(), bed.run(), "holds another run", "--resume");
    }

    @Test
    void folderThatIsNotEmpty() throws IOException {
        Files.createDirectory(bed.run());
        TrainBed.write(bed.run().resolve("thesis.txt"), "all I have");
        bed.assertRefused(List.of(), bed.run(), "is not empty", "train.output_dir");
    }

    @Test
    void emptyFolder_staysWhenTheRunFails() throws IOException {
        Files.createDirectory(bed.run());
        bed.assertRefused(List.of("lora.target_modules=[query]"), "chooses no layer");
    }

    @Test
    void fileInPlaceOfTheFolder() {
        TrainBed.write(bed.run(), "all I have");
        bed.assertRefused(List.of(), bed.run(), "is a file", "train.output_dir");
    }

    @Test
    void fileOnTheWayToTheFolder() {
        bed.assertRefused(
                List.of("--out", bed.data() + "/run"),
                bed.data() + "/run",
                "cannot be made the run folder",
                "name another train.output_dir");
    }

    @Test
    void folderOfTheModel() {
        bed.assertRefused(
                List.of("--out", bed.model().toString()), "train.output_dir", bed.model());
    }

    @Test
    void resumeWithoutARun() {
        bed.assertRefused(List.of("--resume"), bed.run(), "holds no run to resume");
    }

    @Test
    void resumeOnOtherData() {
        assertThat(bed.train()).isEqualTo(ExitCode.OK);
        TrainBed.write(bed.data(), "{\"input\": \"a\", \"output\": \"b\"}\n");
        bed.assertRefused(
                List.of("--resume", "--steps", "4"),
                bed.data() + ": the data has changed",
                "begin a new run");
    }

    @Test
    void resumeWithOtherLora() {
        assertThat(bed.train()).isEqualTo(ExitCode.OK);
        bed.assertRefused(List.of("--resume", "lora.r=8"), "began with lora.r 4, now it is 8");
    }

    @Test
    void resumeOfAFinishedRun_saysSo() {
        assertThat(bed.train()).isEqualTo(ExitCode.OK);
        assertThat(bed.command("train", bed.run().toString(), "--resume")).isEqualTo(ExitCode.OK);
        assertThat(bed.err()).isEmpty();
        assertThat(bed.out())
                .contains("nothing left to do: the run has its 2 steps")
                .contains("checkpoint-2")
                .doesNotContain("NaN");
    }

    @Test
    void rateFarTooHigh_stopsAndNamesTheLastGoodCheckpoint() {
        int code =
                bed.train(
                        "train.learning_rate=1e30",
                        "quantization.bnb_4bit_compute_dtype=float32",
                        "--steps",
                        "20",
                        "train.save_steps=1");
        bed.assertOneLine(
                code,
                "loss ",
                "lower train.learning_rate",
                "the last good checkpoint is " + bed.run().resolve("checkpoint-"));
        String line = bed.err().getFirst();
        Path last = Path.of(line.substring(line.indexOf("checkpoint is ") + 14));
        assertThat(last.resolve("qlora4j.json")).isRegularFile();
    }
}
