package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;

/** The line before the first step: when it is shown, how long it may be, that it goes. */
class PreparationLineTest {
    private final StringWriter screen = new StringWriter();
    private Terminal terminal = new Terminal(true, 80);
    private long millis = 1000;
    private final PreparationLine line =
            new PreparationLine(new PrintWriter(screen), () -> terminal, () -> millis * 1_000_000);

    private String shown() {
        String all = screen.toString();
        screen.getBuffer().setLength(0);
        return all;
    }

    private void at(long done, int after) {
        millis += after;
        line.at("reading faq.csv", done, 0, "records");
    }

    @Test
    void stageThatTakesLong_isCountedAndGone() {
        at(64, 0);
        at(128, 250);
        assertThat(shown()).isEmpty(); // a short stage would only flicker
        at(12_345, 100);
        assertThat(shown()).isEqualTo("\rreading faq.csv: 12,345 records");
        at(12_400, 50);
        assertThat(shown()).isEmpty(); // not more often than five times a second
        line.over();
        assertThat(shown()).isEqualTo("\r" + " ".repeat(31) + "\r");
        line.over();
        assertThat(shown()).isEmpty();
    }

    @Test
    void totalThatIsKnown_isTold() {
        line.at("quantizing weights", 1, 211, "tensors");
        millis += 400;
        line.at("quantizing weights", 45, 211, "tensors");
        assertThat(shown()).isEqualTo("\rquantizing weights: 45 of 211 tensors");
    }

    @Test
    void narrowWindow_isNeverFilledToItsLastColumn() {
        at(1, 0);
        terminal = new Terminal(true, 20);
        at(2, 400);
        assertThat(shown()).isEqualTo("\rreading faq.csv: 2 ").hasSize(20);
    }

    @Test
    void whereNobodyWatches_nothingIsPrinted() {
        terminal = new Terminal(false, 80);
        for (int i = 0; i < 100; i++) {
            at(i, 500);
        }
        line.over();
        assertThat(shown()).isEmpty();
    }

    @Test
    void outputForPrograms_isLeftAlone() {
        at(1, 0);
        at(2, 400);
        shown();
        line.mute();
        assertThat(shown()).isEqualTo("\r" + " ".repeat(26) + "\r");
        at(3, 400);
        assertThat(shown()).isEmpty();
    }
}
