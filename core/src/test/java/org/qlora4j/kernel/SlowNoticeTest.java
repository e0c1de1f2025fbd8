package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.tensor.Device;
import org.qlora4j.tensor.InstructionSet;

/** A JVM of its own, with and without the Vector API and a provider of SLF4J. */
class SlowNoticeTest {
    /** Chooses kernels twice, as a program with two models does. */
    static final class Chooser {
        private Chooser() {}

        public static void main(String[] args) {
            Kernels.select(DeviceChoice.CPU);
            Kernels.choose(Device.CPU, "auto");
        }
    }

    @ParameterizedTest(name = "Vector API {0}, provider {1}")
    @CsvSource({"false, false, 1", "false, true, 1", "true, false, 0", "true, true, 0"})
    void slowKernels_areSaidOnce(boolean vectors, boolean provider, int lines) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        if (vectors) {
            command.add(Kernels.VECTOR_FLAG);
        }
        command.addAll(InstructionSet.limit().jvmFlags());
        command.addAll(
                List.of(
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        classPath(provider),
                        Chooser.class.getName()));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(said).isZero();
        assertThat(said.lines().filter(line -> line.contains("kernels will be slow")))
                .as(said)
                .hasSize(lines)
                .allMatch(line -> line.contains("start the JVM with " + Kernels.VECTOR_FLAG));
    }

    private static String classPath(boolean provider) {
        return Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator, -1))
                .filter(entry -> provider || !Path.of(entry).toString().contains("slf4j-jdk14"))
                .collect(Collectors.joining(File.pathSeparator));
    }
}
