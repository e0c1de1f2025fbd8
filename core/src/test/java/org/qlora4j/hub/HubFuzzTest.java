package org.qlora4j.hub;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.qlora4j.testing.FuzzChild;

/** A hub that answers anything is read or refused, and nothing is written outside of the cache. */
class HubFuzzTest {
    private static final int INPUTS = Integer.getInteger("qlora.fuzz", 300);

    @Test
    void mutatedInputs_giveAResultOrOneLine() throws Exception {
        assertThat(FuzzChild.faults(HubFuzz.class, List.of("-Xmx256m"), 0, INPUTS, 20))
                .as("seeds from 0 to " + INPUTS)
                .isEmpty();
    }
}
