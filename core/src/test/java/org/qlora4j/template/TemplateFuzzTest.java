package org.qlora4j.template;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.qlora4j.testing.FuzzChild;

/** Mutated chat templates render or say why not, in bounded time and memory. */
class TemplateFuzzTest {
    private static final int INPUTS = Integer.getInteger("qlora.fuzz", 300);

    @Test
    void mutatedInputs_giveAResultOrOneLine() throws Exception {
        assertThat(FuzzChild.faults(TemplateFuzz.class, List.of("-Xmx256m"), 0, INPUTS, 20))
                .as("seeds from 0 to " + INPUTS)
                .isEmpty();
    }
}
