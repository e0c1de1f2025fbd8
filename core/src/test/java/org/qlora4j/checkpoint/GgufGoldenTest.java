package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/**
 * A real model: every tensor of SmolLM2-135M-Instruct, Q4_1, against what gguf_to_hf.py makes of
 * it.
 */
class GgufGoldenTest {
    @Test
    void everyTensorOfSmolLm2_equalsTheScripts() throws IOException {
        Path model = Path.of(System.getProperty("qlora.smollm2", "not set"));
        assumeTrue(Files.exists(model), "no file at -Dqlora.smollm2=" + model);
        try (Checkpoint checkpoint = Checkpoint.open(model)) {
            assertThat(checkpoint.names()).hasSize(272);
            assertThat(Resources.digests(checkpoint))
                    .isEqualTo(Resources.lines("smollm2-q4_1.sha256"));
        }
    }
}
