package org.qlora4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.Answer;
import org.qlora4j.LanguageModel;
import org.qlora4j.generate.StopReason;
import org.qlora4j.run.TrainResult;

/** The programs of {@code docs/java.md} are those of the source, and each of them runs. */
class JavaGuideTest {
    private static final Path TINY =
            Path.of("..", "core", "src", "test", "resources", "tiny-llama");

    @TempDir Path folder;

    @Test
    void programs_run() throws Exception {
        Path data = folder.resolve("data.jsonl");
        String line =
                """
                {"messages": [{"role": "user", "content": "a b"}, {"role": "assistant", "content": "c d"}]}
                """;
        Files.writeString(data, line.repeat(10));
        Path run = folder.resolve("run");
        PrintStream console = System.out;
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
        try {
            runAll(data, run);
        } finally {
            System.setOut(console);
        }
        assertThat(printed.toString(StandardCharsets.UTF_8))
                .contains("step 3: loss ", "before: ", "after:  ", "again:  ");
    }

    private static void runAll(Path data, Path run) throws InterruptedException {
        TrainResult result = JavaGuide.finetune(TINY.toString(), data, run);
        assertThat(result.steps()).isEqualTo(3); // nine examples, a step of 16 each epoch
        assertThat(result.evaluation()).isNotNull();
        Path other = run.resolveSibling("other");
        assertThat(JavaGuide.fromMemory(TINY.toString(), Map.of("a", "b", "c", "d"), other).steps())
                .isEqualTo(20);
        JavaGuide.compare(TINY, run, "a b");
        try (LanguageModel model = LanguageModel.load(TINY)) {
            assertThat(JavaGuide.stream(model, "a b").newTokens()).isBetween(1, 64);
            assertThat(JavaGuide.cancel(model, "a b c", 1).stopReason())
                    .isIn(
                            StopReason.CANCELLED,
                            StopReason.MAX_NEW_TOKENS,
                            StopReason.CONTEXT_FULL,
                            StopReason.END_OF_TEXT);
            List<Answer> answers = JavaGuide.manyAtOnce(model, List.of("a", "b", "c d"));
            assertThat(answers).hasSize(3).allMatch(answer -> answer.newTokens() > 0);
            assertThat(JavaGuide.serve(model, run, "a b").newTokens()).isPositive();
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "finetune",
                "fromMemory",
                "stream",
                "cancel",
                "compare",
                "manyAtOnce",
                "serve"
            })
    void page_showsTheProgram(String name) throws IOException {
        String page = Files.readString(Path.of("..", "docs", "java.md"));
        String source =
                Files.readString(Path.of("src/main/java/org/qlora4j/examples/JavaGuide.java"));
        String shown = between(page, "<!-- program: " + name + " -->\n```java\n", "```\n<!--");
        String method = between(source, " " + name + "(", "\n    }\n");
        String body = method.substring(method.indexOf(" {\n") + 3);
        assertThat(shown.stripTrailing()).isEqualTo(body.stripIndent().stripTrailing());
    }

    private static String between(String text, String start, String end) {
        int from = text.indexOf(start);
        assertThat(from).as(start).isNotNegative();
        return text.substring(from + start.length(), text.indexOf(end, from + start.length()));
    }
}
