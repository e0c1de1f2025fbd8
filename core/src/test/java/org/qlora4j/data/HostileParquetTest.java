package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.FormatException;

/** Parquet files that are damaged, or change while they are read. */
class HostileParquetTest {
    @TempDir Path folder;

    @Test
    void fileThatNeverEnds_isGivenUp() throws IOException {
        Path file = folder.resolve("hang.parquet");
        try (InputStream in =
                HostileParquetTest.class.getResourceAsStream("/hostile/hang1.parquet")) {
            Files.copy(in, file);
        }
        assertThatThrownBy(
                        () -> {
                            try (Source.Rows rows = new Parquet(file).open()) {
                                while (rows.next() != null) {}
                            }
                        })
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("hang.parquet")
                .hasMessageContaining("not a Parquet file that can be read: ");
    }

    /** A mapped file would end the JVM by SIGBUS in a native decompressor. */
    @Test
    void fileThatIsCutShortWhileItIsRead_isAnError() throws IOException {
        Path file = folder.resolve("cut.parquet");
        try (InputStream in =
                HostileParquetTest.class.getResourceAsStream("sources/zstd.parquet")) {
            Files.copy(in, file);
        }
        try (ParquetBytes bytes = new ParquetBytes(file)) {
            bytes.open();
            byte[] all = Files.readAllBytes(file);
            assertThat(bytes.readRange(4, 100).array()).isEqualTo(Arrays.copyOfRange(all, 4, 104));
            Files.write(file, Arrays.copyOf(all, 50));
            assertThatThrownBy(() -> bytes.readRange(4, 100))
                    .isInstanceOf(IOException.class)
                    .hasMessage(
                            "the file was cut short while it was read, from %d bytes to 50"
                                    .formatted(all.length));
            assertThatThrownBy(() -> bytes.readRange(4, all.length))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("of a file of");
        }
    }
}
