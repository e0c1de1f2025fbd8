package org.qlora4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.DeviceException;

class AtomicFilesTest {
    @TempDir Path folder;

    @Test
    void textAndBytes_replaceTheFile() throws IOException {
        Path file = Files.writeString(folder.resolve("a.json"), "a longer old text");
        AtomicFiles.writeText(file, "grün");
        assertThat(file).hasContent("grün");
        AtomicFiles.write(file, new byte[] {1, 2});
        assertThat(file).hasBinaryContent(new byte[] {1, 2});
        assertThat(folder).isDirectoryNotContaining("glob:**.tmp");
    }

    @Test
    void leftoverOfAKilledProcess_isOverwritten() throws IOException {
        Files.writeString(
                folder.resolve("a.json.tmp"), "half of something longer than the new text");
        AtomicFiles.writeText(folder.resolve("a.json"), "new");
        assertThat(folder.resolve("a.json")).hasContent("new");
        assertThat(folder.resolve("a.json.tmp")).doesNotExist();
    }

    @Test
    void failureAfterSomeBytes_leavesTheOldFileOnly() throws IOException {
        Path file = Files.writeString(folder.resolve("a.json"), "old");
        assertThatExceptionOfType(DeviceException.class)
                .isThrownBy(() ->
                        AtomicFiles.write(
                                file,
                                20,
                                channel -> {
                                    channel.write(ByteBuffer.wrap(new byte[10]));
                                    throw new IOException("No space left\non device");
                                }))
                .withMessageContainingAll(
                        "a.json", "No space left on device", "it needs 20 bytes", "bytes are free");
        assertThatThrownBy(() ->
                        AtomicFiles.write(
                                file,
                                0,
                                _ -> {
                                    throw new IllegalStateException("defect");
                                }))
                .isInstanceOf(IllegalStateException.class);
        assertThat(file).hasContent("old");
        assertThat(folder).isDirectoryNotContaining("glob:**.tmp");
    }

    @Test
    void missingFolder_isADeviceError() {
        assertThatExceptionOfType(DeviceException.class)
                .isThrownBy(() -> AtomicFiles.writeText(folder.resolve("no/a.json"), "x"))
                .withMessageContainingAll("a.json", "no such file or folder");
    }
}
