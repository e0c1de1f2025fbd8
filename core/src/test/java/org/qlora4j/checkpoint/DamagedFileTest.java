package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.error.FormatException;

/**
 * Files with a few bytes changed at random are read, or rejected in one line: nothing else ever
 * happens.
 */
class DamagedFileTest {
    private static final int TWINS = Integer.getInteger("qlora.fuzz", 500);

    @TempDir Path folder;

    @ParameterizedTest(name = "{0}, first {1} bytes, seed {2}")
    @CsvSource({"python.safetensors, 1100, 1", "gqa.gguf, 1056, 2", "bias.gguf, 1216, 3"})
    void changedBytes_areReadOrRejected(String name, int within, long seed) throws IOException {
        byte[] whole = Files.readAllBytes(Resources.file(name));
        Path path = folder.resolve(name);
        var random = new Random(seed);
        int rejected = 0;
        for (int twin = 0; twin < TWINS; twin++) {
            byte[] bytes = whole.clone();
            for (int change = random.nextInt(3); change >= 0; change--) {
                bytes[random.nextInt(within)] =
                        random.nextBoolean()
                                ? (byte) random.nextInt()
                                : "0-{[\"],:}"
                                        .getBytes(StandardCharsets.US_ASCII)[random.nextInt(9)];
            }
            Files.write(path, bytes);
            try (Checkpoint checkpoint = Checkpoint.open(path);
                    Arena arena = Arena.ofConfined()) {
                Bnb4bit.of(checkpoint);
                for (String tensor : checkpoint.names()) {
                    assertThat(checkpoint.read(tensor, arena).data().byteSize())
                            .isEqualTo(checkpoint.info(tensor).bytes());
                }
            } catch (FormatException e) {
                rejected++;
                assertThat(e.getMessage())
                        .contains(name)
                        .doesNotContain("\n")
                        .hasSizeLessThan(1500);
            }
        }
        assertThat(rejected).isBetween(TWINS / 4, TWINS);
    }
}
