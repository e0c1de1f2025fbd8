package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ProgressLineTest {
    private static final long MIB = 1L << 20;
    private final StringWriter text = new StringWriter();

    @Test
    void wideTerminal_showsEverything() {
        assertThat(ProgressLine.bar(at(25, 100), 0, 200))
                .isEqualTo(
                        "[=======                       ] 25/100  loss 1.2346  5:00 left  1235 tok/s  812 MiB");
    }

    @Test
    void eightyColumns_shortenTheBar() {
        assertThat(ProgressLine.bar(at(50, 100), 0, 79))
                .hasSize(79)
                .startsWith("[============")
                .endsWith("] 50/100  loss 1.2346  1:40 left  1235 tok/s  812 MiB");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5, 19, 20, 30, 40, 50, 60, 79, 119, 300})
    void anyWidth_isKept(int width) {
        assertThat(ProgressLine.bar(at(99_999, 100_000), 0, width))
                .hasSizeLessThanOrEqualTo(width)
                .doesNotContain("\n");
    }

    @Test
    void narrowTerminal_keepsStepAndLoss() {
        assertThat(ProgressLine.bar(at(25, 100), 0, 24)).isEqualTo("25/100  loss 1.2346");
    }

    @Test
    void plainLine_namesUnitsAndPeak() {
        assertThat(ProgressLine.plain(at(25, 100), 0))
                .isEqualTo(
                        "step 25/100  loss 1.2346  1235 tokens/s  resident 812 MiB (peak 1.5 GiB)  1:40 elapsed"
                                + "  5:00 left");
    }

    @Test
    void resumedRun_estimatesFromItsOwnSteps() {
        // 5 steps in 100 s: 20 s a step, 75 to come
        assertThat(ProgressLine.plain(at(25, 100), 20)).endsWith("  25:00 left");
    }

    @Test
    void beforeTheFirstStep_timeIsUnknown() {
        assertThat(ProgressLine.plain(at(0, 100), 0)).endsWith("  ? left");
    }

    @Test
    void oddValues_stayReadable() {
        var odd = new Progress(1, 0, Double.NaN, 0.25, 0, 0, Duration.ofHours(26).plusSeconds(61));
        assertThat(ProgressLine.plain(odd, 0))
                .isEqualTo("step 1/0  loss NaN  0.3 tokens/s  26:01:01 elapsed  0:00 left");
        assertThat(ProgressLine.bar(odd, 0, 79)).startsWith("[====").doesNotContain("MiB");
        assertThat(ProgressLine.plain(new Progress(1, 2, 123456.0, 1, 0, 0, Duration.ZERO), 0))
                .contains("loss 1.235e+05");
    }

    @Test
    void noTerminal_printsALineAtEachIntervalAndTheLast() {
        try (var line =
                new ProgressLine(new PrintWriter(text), () -> new Terminal(false, 80), 0, 10)) {
            for (long step = 1; step <= 25; step++) {
                line.update(at(step, 25));
            }
            line.clear();
        }
        assertThat(text.toString().lines().map(printed -> printed.replaceFirst("  .*", "")))
                .containsExactly("step 10/25", "step 20/25", "step 25/25");
        assertThat(text.toString()).doesNotContain("\r".repeat(2)).doesNotContain("[");
    }

    @Test
    void terminal_drawsOverTheLongerLineBefore() {
        var terminal = new Terminal(true, 30);
        try (var line = new ProgressLine(new PrintWriter(text), () -> terminal, 0, 10)) {
            line.update(at(25, 100));
            String first = text.toString();
            assertThat(first).isEqualTo("\r25/100  loss 1.2346");
            line.update(new Progress(26, 100, 1, 1, 0, 0, Duration.ofHours(2000)));
            assertThat(text.toString()).startsWith(first + "\r26/100");
            line.println("saved");
            assertThat(screen(text.toString())).isEqualTo("saved\n");
            line.update(at(27, 100));
        }
        assertThat(screen(text.toString())).isEqualTo("saved\n27/100  loss 1.2346\n");
    }

    @Test
    void narrowerWindow_isNeverWrittenBeyond() {
        var terminal = new AtomicReference<>(new Terminal(true, 80));
        try (var line = new ProgressLine(new PrintWriter(text), terminal::get, 0, 10)) {
            line.update(at(25, 100));
            int before = text.toString().length();
            terminal.set(new Terminal(true, 40));
            line.update(at(26, 100));
            line.clear();
            assertThat(text.toString().substring(before).split("\r"))
                    .allSatisfy(drawn -> assertThat(drawn).hasSizeLessThan(40));
        }
    }

    /**
     * What a terminal shows after the text: a carriage return writes over the line, trailing blanks
     * are invisible.
     */
    private static String screen(String text) {
        var shown = new StringBuilder();
        var line = new StringBuilder();
        int column = 0;
        for (char c : text.replace(System.lineSeparator(), "\n").toCharArray()) {
            switch (c) {
                case '\r' -> column = 0;
                case '\n' -> {
                    shown.append(line.toString().stripTrailing()).append('\n');
                    line.setLength(0);
                    column = 0;
                }
                default -> {
                    line.setLength(Math.max(line.length(), column + 1));
                    line.setCharAt(column++, c);
                }
            }
        }
        return shown + line.toString().stripTrailing();
    }

    /** 100 s into a run of this process. */
    private static Progress at(long step, long totalSteps) {
        return new Progress(
                step, totalSteps, 1.23456, 1234.6, 812 * MIB, 1536 * MIB, Duration.ofSeconds(100));
    }
}
