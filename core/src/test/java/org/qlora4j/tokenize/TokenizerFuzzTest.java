package org.qlora4j.tokenize;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.qlora4j.testing.FuzzChild;

/** Damaged tokenizers neither end the process nor hang it: they work or say why not. */
class TokenizerFuzzTest {
    private static final int INPUTS = Integer.getInteger("qlora.fuzz", 2000);

    @Test
    void mutatedTokenizers_neverEndTheProcess() throws Exception {
        assertThat(FuzzChild.faults(TokenizerFuzz.class, List.of("-Xmx256m"), 0, INPUTS, 20))
                .as("seeds from 0 to " + INPUTS)
                .isEmpty();
    }
}
