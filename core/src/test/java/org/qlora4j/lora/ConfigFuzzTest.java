package org.qlora4j.lora;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.qlora4j.testing.FuzzChild;

/** Damaged files of settings are read or refused in a line. */
class ConfigFuzzTest {
    private static final int INPUTS = Integer.getInteger("qlora.fuzz", 300);

    @Test
    void mutatedInputs_giveAResultOrOneLine() throws Exception {
        assertThat(FuzzChild.faults(ConfigFuzz.class, List.of("-Xmx256m"), 0, INPUTS, 20))
                .as("seeds from 0 to " + INPUTS)
                .isEmpty();
    }
}
