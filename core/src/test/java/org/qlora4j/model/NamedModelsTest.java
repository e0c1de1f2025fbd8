package org.qlora4j.model;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;

class NamedModelsTest {
    @Test
    void smollm2_isTheHubsUnlessTheEnvironmentNamesAFolder() {
        assertThat(NamedModels.resolve("smollm2", Map.of()))
                .isEqualTo("HuggingFaceTB/SmolLM2-135M-Instruct");
        assertThat(NamedModels.resolve("smollm2", Map.of("QLORA_SMOLLM2", "models/small")))
                .isEqualTo(Path.of("models/small").toAbsolutePath().toString());
        assertThat(NamedModels.resolve("./smollm2", Map.of())).isEqualTo("./smollm2");
        assertThat(NamedModels.resolve("embedded", Map.of())).isEqualTo("embedded");
    }
}
