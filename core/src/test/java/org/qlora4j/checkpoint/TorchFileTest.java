package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.FormatException;
import org.qlora4j.testing.Strangers;

/** Files of {@code torch.save} give their tensors and run nothing. */
class TorchFileTest {
    private static final Path SHARD =
            Strangers.folder("torch").resolve("pytorch_model-00002-of-00002.bin");

    @TempDir Path folder;

    @Test
    void functionThatTensorsDoNotNeed_isRefusedByName() {
        assertThatThrownBy(() -> Checkpoint.open(Strangers.folder("evil.bin")))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(
                        "evil.bin: its pickle calls posix.system, which tensors do not need and is not run");
    }

    @Test
    void transposedTensor_isGivenInCOrder() {
        try (Checkpoint checkpoint = Checkpoint.open(SHARD);
                Arena arena = Arena.ofConfined()) {
            StoredTensor up = checkpoint.read("model.layers.0.mlp.up_proj.weight", arena);
            assertThat(up.type()).isEqualTo(StoredType.BF16);
            assertThat(up.shape()).containsExactly(24, 16);
            assertThat(up.data().byteSize()).isEqualTo(2 * 24 * 16);
        }
    }

    @Test
    void whatTorchDidNotWrite_isRefused() throws IOException {
        Path file = Files.writeString(folder.resolve("pytorch_model.bin"), "\u0080\u0002}q.");
        assertThatThrownBy(() -> Checkpoint.open(file))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("is no file that torch.save wrote from version 1.6 on");
    }

    /** Damage is one line, or is of bytes that no reader can tell from others. */
    @Test
    void mutatedFiles_giveTensorsOrOneLine() throws IOException {
        byte[] whole = Files.readAllBytes(SHARD);
        String text = new String(whole, StandardCharsets.ISO_8859_1);
        int pickle = text.indexOf("data.pkl") + 8;
        Random random = new Random(4);
        Path file = folder.resolve("a.bin");
        for (int i = 0; i < 1500; i++) {
            byte[] bytes = whole.clone();
            for (int j = random.nextInt(4); j >= 0; j--) {
                int at =
                        random.nextInt(4) == 0
                                ? random.nextInt(bytes.length)
                                : pickle + random.nextInt(1000);
                bytes[at] =
                        random.nextBoolean()
                                ? (byte) random.nextInt(256)
                                : (byte) (bytes[at] ^ (1 << random.nextInt(8)));
            }
            Files.write(file, bytes);
            try (Checkpoint checkpoint = Checkpoint.open(file);
                    Arena arena = Arena.ofConfined()) {
                for (String name : checkpoint.names()) {
                    checkpoint.read(name, arena);
                }
            } catch (FormatException e) {
                assertThat(e.getMessage()).contains("a.bin").doesNotContain("\n");
            }
        }
    }
}
