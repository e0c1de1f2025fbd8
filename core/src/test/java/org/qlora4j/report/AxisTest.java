package org.qlora4j.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AxisTest {
    @ParameterizedTest(name = "{0} to {1}, about {2} ticks")
    @CsvSource(
            delimiter = '|',
            value = {
                "1 | 100 | 6 | true | 20 40 60 80 100",
                "1 | 3 | 6 | true | 1 2 3",
                "1 | 10000 | 6 | true | 2,000 4,000 6,000 8,000 10,000",
                "0 | 2e-4 | 5 | false | 0 5e-5 1e-4 1.5e-4 2e-4",
                "-1 | 1 | 4 | false | -1 -0.5 0 0.5 1",
                "2.5 | 2.5 | 4 | false | 2.4 2.6",
            })
    void ticks_areRoundNumbers(double min, double max, int ticks, boolean whole, String expected) {
        assertThat(
                        Axis.spanning(min, max, ticks, whole).ticks().stream()
                                .map(Axis::label)
                                .collect(Collectors.joining(" ")))
                .isEqualTo(expected);
    }

    @Test
    void lossThatFallsFarFromZero_keepsItsRange() {
        Axis axis = Axis.around(2.0, 2.5, 5);
        assertThat(axis.from()).isBetween(1.9, 2.0);
        assertThat(axis.to()).isBetween(2.5, 2.6);
    }
}
