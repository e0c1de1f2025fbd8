package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Processes of this machine, started by the command. */
@Timeout(300)
class LaunchCommandTest {
    @TempDir Path folder;

    @Test
    void processes_trainTogetherOrAllFail() {
        TrainBed bed = new TrainBed(folder);
        List<String> words = new ArrayList<>(List.of("launch", "-n", "2"));
        words.addAll(bed.words("--steps", "2"));
        String[] train = words.toArray(String[]::new);
        assertThat(bed.command(train)).isEqualTo(ExitCode.OK);
        assertThat(bed.run().resolve("checkpoint-2/qlora4j.json")).isRegularFile();
        assertThat(bed.run().resolve("config.yaml")).isRegularFile();

        assertThat(bed.command(train)).isEqualTo(ExitCode.USER_ERROR); // the folder is taken
        assertThat(bed.err().stream().filter(line -> line.contains("qlora: ")))
                .singleElement()
                .asString()
                .startsWith("process 1: qlora: process 0 of 2 ended: ")
                .contains("holds another run");
    }

    @ParameterizedTest
    @CsvSource(
            nullValues = "unset",
            value = {"unset, 1, 1", "'2,5', 1, 5", "'2', 1, ''", "'', 0, ''"})
    void eachProcess_seesAGpuOfItsOwn(@Nullable String visible, int local, String own) {
        assertThat(LaunchCommand.gpu(visible, local)).isEqualTo(own);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "launch -n 2 generate x | launch starts qlora train, got 'generate'",
                "launch train x | launch needs -n (or PET_NPROC_PER_NODE)",
                "launch -n 0 train x | -n and --nnodes must be at least 1",
                "launch -n 2 --nnodes 2 train x | launch needs --node-rank (or PET_NODE_RANK)",
                "launch -n 2 --nnodes 2 --node-rank 1 train x | needs --master-addr (or PET_MASTER_ADDR)"
            })
    void whatIsMissing_isNamed(String words, String part) {
        TrainBed bed = new TrainBed(folder);
        bed.command(words.split(" ", -1));
        bed.assertOneLine(ExitCode.USER_ERROR, part);
    }
}
