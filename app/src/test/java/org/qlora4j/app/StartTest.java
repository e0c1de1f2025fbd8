package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.ConfigException;

class StartTest {
    /** The command in a JVM without any option, as {@code java -jar} starts it. */
    static List<String> command(List<String> words) {
        List<String> line = new ArrayList<>();
        line.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        line.addAll(List.of("-cp", System.getProperty("java.class.path"), Start.class.getName()));
        line.addAll(words);
        return line;
    }

    @Test
    void jvmWithoutOptions_startsOneWithThem() throws Exception {
        var builder = new ProcessBuilder(command(List.of("doctor")));
        builder.environment().putAll(Map.of("QLORA_HEAP", "99m", "GOMP_SPINCOUNT", "7"));
        builder.environment().put("QLORA_JAVA_OPTS", " -Da=*  -Db=2 ");
        Process process = builder.start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        String err = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(err).isEmpty(); // nor the JVM's line about incubator modules
        assertThat(process.waitFor()).isZero();
        assertThat(out)
                .contains(JvmSettings.options())
                .contains("-Xmx99m -Da=* -Db=2\n")
                .containsPattern("Vector API +[0-9]+ bits")
                .containsPattern("OMP_WAIT_POLICY +passive")
                .containsPattern("GOMP_SPINCOUNT +7\n");
    }

    @Test
    void exitCode_isThatOfTheCommand() throws Exception {
        assertThat(new ProcessBuilder(command(List.of("trian"))).start().waitFor())
                .isEqualTo(ExitCode.USER_ERROR);
    }

    @ParameterizedTest
    @ValueSource(strings = {"lots", "0", "1t", "-1g", "1 g"})
    void heapThatIsNoSize_isRefused(String size) {
        assertThatThrownBy(() -> Start.heap(size))
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        "QLORA_HEAP must be a size such as 512m or 2g, got '%s'".formatted(size));
    }
}
