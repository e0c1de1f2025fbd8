package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;

class VisibleWriterTest {
    @Test
    void controlCharacters_areWrittenOut() {
        StringWriter written = new StringWriter();
        PrintWriter out = new PrintWriter(new VisibleWriter(written), true);
        out.print("a\u001b[31mred\u001b]0;title\u0007 \rqlora: fine\u009b2J\u007f é 漢\t\n");
        assertThat(written.toString())
                .isEqualTo("a\\x1b[31mred\\x1b]0;title\\x07 \\x0dqlora: fine\\x9b2J\\x7f é 漢\t\n");
    }

    /** What follows one of them is shown in another order than it stands. */
    @Test
    void marksThatTurnTheOrder_areWrittenOut() {
        assertThat(Failure.oneLine("a\u202eb\u2066c\u200f")).isEqualTo("a\\u202eb\\u2066c\u200f");
    }

    @Test
    void statusLine_keepsItsCarriageReturns() {
        StringWriter written = new StringWriter();
        PrintWriter out = new PrintWriter(new VisibleWriter(written), true);
        VisibleWriter.own(() -> out.print("\rstep 1 \u001b[2J"));
        out.print("\r");
        assertThat(written.toString()).isEqualTo("\rstep 1 \\x1b[2J\\x0d");
    }

    @Test
    void failureLine_hasNoControlCharacters() {
        assertThat(Failure.oneLine("bad\u001b[2J\nname\u0007")).isEqualTo("bad\\x1b[2J name\\x07");
    }
}
