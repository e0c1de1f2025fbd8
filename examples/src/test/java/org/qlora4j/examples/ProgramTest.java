package org.qlora4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.tensor.InstructionSet;

/**
 * The README's program: the same lines, and it runs in a JVM of its own with and without the
 * launcher's flags.
 */
class ProgramTest {
    private static final Path TINY =
            Path.of("..", "core", "src", "test", "resources", "tiny-llama");

    @TempDir Path temporary;

    @ParameterizedTest(name = "launcher''s flags: {0}")
    @ValueSource(booleans = {true, false})
    void programInAFreshJvm_finetunesAndAnswers(boolean flags)
            throws IOException, InterruptedException {
        Path data = temporary.resolve("data.jsonl");
        String line =
                """
                {"messages": [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c d"}]}
                """;
        Files.writeString(data, line.repeat(8));
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        if (flags) {
            command.add("--add-modules=jdk.incubator.vector");
            command.add("--enable-native-access=ALL-UNNAMED");
            command.addAll(InstructionSet.limit().jvmFlags());
        }
        command.addAll(
                List.of(
                        "-Xmx512m",
                        "-cp",
                        System.getProperty("java.class.path"),
                        "org.qlora4j.examples.FinetuneAndGenerate",
                        TINY.toString(),
                        data.toString(),
                        temporary.resolve("run").toString()));
        Path output = temporary.resolve("output");
        Process process =
                new ProcessBuilder(command)
                        .redirectErrorStream(true)
                        .redirectOutput(output.toFile())
                        .start();
        boolean ended = process.waitFor(120, TimeUnit.SECONDS);
        String text = Files.readString(output, StandardCharsets.UTF_8);
        assertThat(ended).as(text).isTrue();
        assertThat(process.exitValue()).as(text).isZero();
        assertThat(text).containsPattern("loss \\d+\\.\\d{3}");
        assertThat(text.contains("the Vector API is off")).as(text).isEqualTo(!flags);
        assertThat(temporary.resolve("run/checkpoint-24/adapter_model.safetensors"))
                .isNotEmptyFile();
    }

    @Test
    void readme_showsTheLinesOfTheProgram() throws IOException {
        String readme = Files.readString(Path.of("..", "README.md"));
        String shown = between(readme, "<!-- program -->\n```java\n", "```\n<!-- /program -->");
        String source =
                Files.readString(
                        Path.of("src/main/java/org/qlora4j/examples/FinetuneAndGenerate.java"));
        String body = between(source, "main(String[] args) {\n", "\n    }\n}");
        assertThat(shown.stripTrailing()).isEqualTo(body.stripIndent().stripTrailing());
    }

    private static String between(String text, String start, String end) {
        int from = text.indexOf(start);
        assertThat(from).as(start).isNotNegative();
        return text.substring(from + start.length(), text.indexOf(end, from));
    }
}
