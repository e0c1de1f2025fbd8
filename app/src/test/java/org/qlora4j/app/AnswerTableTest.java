package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.run.ExactMatch;
import org.qlora4j.run.ExactMatch.Prediction;

class AnswerTableTest {
    private static final ExactMatch ANSWERS =
            new ExactMatch(
                    60,
                    List.of(
                            new Prediction(
                                    "My parcel has not arrived, and I have waited for a week.",
                                    "{\"category\":\"delivery\",\"urgency\":\"high\"}",
                                    "I'm sorry to hear that you have not arrived yet.",
                                    "{\"category\":\"delivery\",\"urgency\":\"high\"}"),
                            new Prediction("Hi", "a", "b", "c")));

    @ParameterizedTest
    @ValueSource(ints = {20, 40, 59, 60, 80, 200})
    void lines_fitTheTerminal(int columns) {
        List<String> lines = AnswerTable.lines(ANSWERS, columns);
        assertThat(lines.subList(0, lines.size() - 1))
                .allSatisfy(line -> assertThat(line.length()).isLessThan(columns));
        assertThat(lines).anySatisfy(line -> assertThat(line).contains("✓"));
        assertThat(lines.getLast())
                .isEqualTo(
                        "exactly as expected, of 2 held-out answers: 0 (0%) before, 1 (50%) after");
    }

    @Test
    void cell_breaksAtBlanksAndEndsInAnEllipsis() {
        assertThat(AnswerTable.wrapped("one two three", 9)).containsExactly("one two", "three");
        assertThat(AnswerTable.wrapped("x".repeat(50), 10))
                .hasSize(4)
                .last()
                .isEqualTo("xxxxxxxxx…");
    }
}
