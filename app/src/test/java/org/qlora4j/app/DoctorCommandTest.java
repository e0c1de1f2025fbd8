package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class DoctorCommandTest {
    @Test
    void brokenSource_isALineAndTheOthersFollow() {
        var text = new StringWriter();
        Report.Source broken =
                () -> {
                    throw new UnsatisfiedLinkError("no jnitorch in java.library.path:\n/usr/lib");
                };
        DoctorCommand.print(
                List.of(broken, () -> List.of(new Report("cores", "2"))), new PrintWriter(text));
        assertThat(text.toString().lines())
                .containsExactly(
                        "broken           java.lang.UnsatisfiedLinkError: no jnitorch in java.library.path: /usr/lib",
                        "cores            2");
    }

    @Test
    void environment_saysWhatIsNotSet() {
        assertThat(EnvironmentReport.lines(Map.of("OMP_WAIT_POLICY", "passive")))
                .contains(
                        new Report("OMP_WAIT_POLICY", "passive"),
                        new Report("OMP_NUM_THREADS", "not set"));
    }

    @Test
    void libtorchAndGpu_areShownOrWhatIsMissing() {
        List<Report> lines = LibtorchReport.lines();
        assertThat(lines)
                .extracting(Report::name)
                .contains(
                        "libtorch",
                        "CUDA",
                        "NVIDIA driver",
                        "NVRTC",
                        "device",
                        "kernels",
                        "compute dtype");
        assertThat(lines)
                .allSatisfy(line -> assertThat(line.value()).isNotBlank().doesNotContain("\n"));
    }
}
