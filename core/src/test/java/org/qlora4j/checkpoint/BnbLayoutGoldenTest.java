package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Checkpoints that transformers saved with bitsandbytes: read, and written again to the same bytes.
 */
class BnbLayoutGoldenTest {
    /** Levels of the first three codes, from bitsandbytes: they set the types apart. */
    private static final Map<String, float[]> LEVELS =
            Map.of(
                    "nf4",
                            new float[] {
                                -1, (float) -0.6961928009986877, (float) -0.5250730514526367
                            },
                    "fp4", new float[] {0, (float) (0.0625 / 12), (float) (8 / 12.0)});

    @TempDir Path folder;

    @ParameterizedTest
    @ValueSource(strings = {"nf4-sq", "nf4-dq", "fp4-sq", "fp4-dq"})
    void savedByTransformers_isReadAndWrittenEqual(String name) {
        Path golden = Path.of(System.getProperty("qlora.golden", "not set")).resolve("bnb");
        assumeTrue(Files.exists(golden), "no folder at -Dqlora.golden: " + golden);
        boolean doubleQuantized = name.endsWith("dq");
        var writer = new SafetensorsWriter(Map.of("format", "pt"));
        try (Checkpoint checkpoint = Checkpoint.open(golden.resolve(name));
                Arena arena = Arena.ofConfined()) {
            Bnb4bit bnb = Bnb4bit.of(checkpoint);
            assertThat(bnb.weights())
                    .isNotEmpty()
                    .allMatch(weight -> weight.endsWith("_proj.weight"));
            assertThat(bnb.plain())
                    .contains("model.norm.weight", "lm_head.weight")
                    .noneMatch(bnb::has);
            for (String weight : bnb.weights()) {
                StoredQuantized quantized = bnb.read(weight, arena);
                assertThat(quantized.quantType()).isEqualTo(name.substring(0, 3));
                assertThat(quantized.blockSize()).isEqualTo(64);
                assertThat(quantized.dtype()).isEqualTo("float32");
                assertThat(quantized.quantMap())
                        .startsWith(LEVELS.get(quantized.quantType()))
                        .hasSize(16);
                assertThat(quantized.nested() != null).isEqualTo(doubleQuantized);
                if (doubleQuantized) {
                    float[] map = Objects.requireNonNull(quantized.nested()).map();
                    assertThat(map)
                            .hasSize(256)
                            .startsWith(-0.99296874f)
                            .endsWith(0.99296874f, 1.0f);
                }
                Bnb4bit.add(writer, quantized);
            }
            bnb.plain().forEach(key -> writer.add(checkpoint.read(key, arena)));
            writer.write(folder.resolve("again.safetensors"));
        }
        assertThat(folder.resolve("again.safetensors"))
                .hasSameBinaryContentAs(golden.resolve(name).resolve("model.safetensors"));
    }
}
