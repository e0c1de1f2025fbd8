package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainReportTest {
    @TempDir Path folder;

    @Test
    void lastLines_tellPlanBesideWhatWasTaken() {
        TrainBed bed = new TrainBed(folder);
        assertThat(bed.train("--steps", "1")).as("%s", bed.err()).isEqualTo(ExitCode.OK);
        String size = "[0-9.]+ [MG]iB";
        assertThat(bed.out().lines())
                .anySatisfy(line ->
                        assertThat(line).matches("done after 1 steps: .*, peak memory " + size))
                .anySatisfy(line ->
                        assertThat(line)
                                .matches(
                                        "memory:  tensors at most %1$s, planned %1$s; Java heap %1$s \\(%1$s used\\), classes and code %1$s"
                                                .formatted(size)));
    }

    /** Nothing is trained, so that nothing is measured either. */
    @Test
    void runThatIsDone_tellsNoMemory() {
        TrainBed bed = new TrainBed(folder);
        bed.train("--steps", "1");
        assertThat(bed.train("--steps", "1", "--resume")).isEqualTo(ExitCode.OK);
        assertThat(bed.out()).contains("nothing left to do").doesNotContain("memory:");
    }
}
