package org.qlora4j.family;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.qlora4j.testing.FuzzChild;

/** Damaged files of weights are read or refused in a line. */
class WeightsFuzzTest {
    private static final int INPUTS = Integer.getInteger("qlora.fuzz", 200);

    @Test
    void mutatedInputs_giveAResultOrOneLine() throws Exception {
        assertThat(FuzzChild.faults(WeightsFuzz.class, List.of("-Xmx256m"), 0, INPUTS, 20))
                .as("seeds from 0 to " + INPUTS)
                .isEmpty();
    }
}
