package org.qlora4j.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.qlora4j.error.FormatException;

/** Maps whole files, with errors that name them. */
final class MappedFile {
    private MappedFile() {}

    /** The file's bytes, read-only, until the arena is closed. */
    static MemorySegment map(Path path, Arena arena) {
        if (!Files.isRegularFile(path)) {
            throw FormatException.of(
                    Files.exists(path)
                            ? "%s is a folder, not a file"
                            : "%s does not exist; check the path",
                    path);
        }
        try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        } catch (IOException e) {
            throw new FormatException(path + " cannot be read: " + AtomicFiles.reason(e), e);
        }
    }
}
