package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a JVM is started with has one home for the command and one for programs and tests. */
class JvmSettingsTest {
    private static final String VECTOR = "--add-modules=jdk.incubator.vector";

    @Test
    void optionsOfTheCommand_areThoseOfTheTests() throws IOException {
        assertThat(ofTests()).contains(VECTOR); // the command loads that module itself
        assertThat(JvmSettings.options())
                .containsAll(ofTests().stream().filter(o -> !o.equals(VECTOR)).toList());
    }

    @ParameterizedTest
    @ValueSource(strings = {"README.md", "docs/java.md"})
    void guide_namesTheOptionsOfTheTests(String page) throws IOException {
        assertThat(read(page)).contains(String.join(" ", ofTests()));
    }

    private static List<String> ofTests() throws IOException {
        Matcher flags =
                Pattern.compile("<jvm.flags>(.*) \\$\\{cpu.flags}</jvm.flags>")
                        .matcher(read("pom.xml"));
        assertThat(flags.find()).isTrue();
        return List.of(flags.group(1).split(" "));
    }

    private static String read(String file) throws IOException {
        return Files.readString(Path.of("..").resolve(file));
    }
}
