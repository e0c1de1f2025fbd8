package org.qlora4j.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.qlora4j.error.DeviceException;

/**
 * Bytes that are kept on disk until they are needed: what is made early but written late, or is too
 * large for memory. The file has no name once it is open, and is gone with its process.
 */
public final class SpoolFile implements AutoCloseable {
    /** A channel takes no more than 2 GB at once. */
    private static final long PART = 1 << 24;

    private final Path folder;
    private final FileChannel channel;
    private final Arena arena = Arena.ofShared();

    /** A new one, on the disk of an existing folder. */
    public SpoolFile(Path folder) {
        this.folder = folder;
        Path file = folder.resolve(".spool-" + ProcessHandle.current().pid());
        try {
            channel =
                    FileChannel.open(
                            file,
                            StandardOpenOption.CREATE_NEW,
                            StandardOpenOption.READ,
                            StandardOpenOption.WRITE,
                            StandardOpenOption.DELETE_ON_CLOSE);
        } catch (IOException e) {
            throw AtomicFiles.cannotWrite(file, 0, e);
        }
    }

    /**
     * Writes bytes to the end.
     *
     * @return the same bytes as a view of the file, valid until this is closed
     */
    public MemorySegment append(MemorySegment bytes) {
        try {
            long at = channel.size();
            channel.position(at);
            for (long done = 0; done < bytes.byteSize(); done += PART) {
                long part = Math.min(PART, bytes.byteSize() - done);
                AtomicFiles.writeFully(channel, bytes.asSlice(done, part).asByteBuffer());
            }
            return bytes.byteSize() == 0
                    ? MemorySegment.NULL
                    : channel.map(FileChannel.MapMode.READ_ONLY, at, bytes.byteSize(), arena);
        } catch (IOException e) {
            throw new DeviceException(
                    "%s: %d bytes cannot be kept there for a while: %s; make room or choose another folder"
                            .formatted(folder, bytes.byteSize(), AtomicFiles.reason(e)),
                    e);
        }
    }

    @Override
    public void close() {
        arena.close();
        try {
            channel.close();
        } catch (IOException e) {
            throw AtomicFiles.cannotWrite(folder, 0, e);
        }
    }
}
