package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.qlora4j.testing.FuzzChild;

/** Configs of every family with values that they must not have give a shape or one line. */
class ShapeFuzzTest {
    private static final int INPUTS = Integer.getInteger("qlora.fuzz", 500);

    @Test
    void mutatedInputs_giveAResultOrOneLine() throws Exception {
        assertThat(FuzzChild.faults(ShapeFuzz.class, List.of("-Xmx256m"), 0, INPUTS, 20))
                .as("seeds from 0 to " + INPUTS)
                .isEmpty();
    }
}
