package org.qlora4j.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.quant.ComputeDtype;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantType;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.testing.Golden;
import org.qlora4j.testing.TinyLlama;
import tools.jackson.databind.JsonNode;

/**
 * Models written in 4 bits, against what transformers and bitsandbytes saved of the same weights.
 */
class ModelFolderGoldenTest {
    @TempDir Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"nf4-sq", "nf4-dq", "fp4-sq", "fp4-dq"})
    void quantized_isTheFileOfBitsandbytes(String name) {
        Path golden = Golden.folder();
        Path out = folder.resolve("out");
        long memory = NativeMemory.liveBytes();
        QuantConfig config =
                new QuantConfig(
                        true,
                        QuantType.of(name.substring(0, 3)),
                        name.endsWith("dq"),
                        64,
                        ComputeDtype.FLOAT32);
        ModelFolder.quantize(golden.resolve("adapters/base"), config, out);
        assertThat(NativeMemory.liveBytes()).isEqualTo(memory);
        Path peer = golden.resolve("bnb").resolve(name);
        assertThat(out.resolve("model.safetensors"))
                .hasSameBinaryContentAs(peer.resolve("model.safetensors"));
        JsonNode ours = Golden.json(out.resolve("config.json")).get("quantization_config");
        JsonNode theirs = Golden.json(peer.resolve("config.json")).get("quantization_config");
        ours.forEachEntry((key, value) -> assertThat(theirs.get(key)).as(key).isEqualTo(value));
        // and what is read from there is written there again
        Path again = folder.resolve("again");
        ModelFolder.quantize(out, config, again);
        assertThat(again.resolve("model.safetensors"))
                .hasSameBinaryContentAs(out.resolve("model.safetensors"));
    }

    @Test
    void existingFolder_isNotTouched() {
        assertThatThrownBy(
                        () -> ModelFolder.quantize(TinyLlama.folder(), QuantConfig.DEFAULT, folder))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("exists; name a new folder")
                .hasMessageNotContaining("\n");
        assertThat(folder).isEmptyDirectory();
    }
}
