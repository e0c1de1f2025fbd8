package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TerminalTest {
    @ParameterizedTest
    @CsvSource({"132, 132", "'', 80", "0, 80", "-5, 80", "wide, 80", "99999, 80", "7, 20"})
    void columns_areTakenWhereTheyMakeSense(String columns, int expected) {
        assertThat(Terminal.of(true, Map.of("COLUMNS", columns)))
                .isEqualTo(new Terminal(true, expected));
    }

    @Test
    void noColor_leavesBoldPrintOut() {
        Terminal person = new Terminal(true, 80);
        assertThat(person.styled(Map.of())).isTrue();
        assertThat(person.styled(Map.of("NO_COLOR", ""))).isTrue(); // as no-color.org says
        assertThat(person.styled(Map.of("NO_COLOR", "1"))).isFalse();
        assertThat(new Terminal(false, 80).styled(Map.of())).isFalse();
    }

    @Test
    void dumbTerminal_isNotDrawnOver() {
        assertThat(Terminal.of(true, Map.of("TERM", "dumb"))).isEqualTo(new Terminal(false, 80));
    }
}
