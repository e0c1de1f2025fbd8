package org.qlora4j.data;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.FormatException;

/** A damaged Parquet file whose reader goes round in circles. */
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
}
