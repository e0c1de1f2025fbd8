package org.qlora4j.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import org.qlora4j.error.DeviceException;

/**
 * Writes files that are there whole or not at all: into {@code NAME.tmp} beside the file, forced to
 * the disk, then renamed over it. A power cut leaves the old file or the new one; a failure leaves
 * the old one and no {@code .tmp}. A {@code .tmp} of a killed process is overwritten by the next
 * write. An existing file is replaced.
 */
public final class AtomicFiles {
    /** Writes the content of a file, from its start. */
    @FunctionalInterface
    public interface Body {
        void writeTo(FileChannel channel) throws IOException;
    }

    private AtomicFiles() {}

    /** Writes text in UTF-8. */
    public static void writeText(Path file, String text) {
        write(file, text.getBytes(StandardCharsets.UTF_8));
    }

    /** Writes bytes. */
    public static void write(Path file, byte[] bytes) {
        write(file, bytes.length, channel -> writeFully(channel, ByteBuffer.wrap(bytes)));
    }

    /**
     * Writes what {@code body} writes.
     *
     * @param bytes size the file will have, or 0 if it is not known: a disk with less space is
     *     refused before writing
     * @throws DeviceException if the file cannot be written, with the bytes it needs and those free
     */
    public static void write(Path file, long bytes, Body body) {
        Path folder = folderOf(file);
        Path temporary = file.resolveSibling(file.getFileName() + ".tmp");
        try {
            long free = Files.getFileStore(folder).getUsableSpace();
            if (free > 0 && free < bytes) { // some network file systems always say 0
                throw new IOException("the disk is too full");
            }
            try (FileChannel channel =
                    FileChannel.open(
                            temporary,
                            StandardOpenOption.CREATE,
                            StandardOpenOption.TRUNCATE_EXISTING,
                            StandardOpenOption.WRITE)) {
                body.writeTo(channel);
                channel.force(true);
            }
            Files.move(
                    temporary,
                    file,
                    StandardCopyOption.ATOMIC_MOVE,
                    StandardCopyOption.REPLACE_EXISTING);
            syncFolder(folder);
        } catch (IOException e) {
            throw cannotWrite(file, bytes, deleteQuietly(temporary, e));
        } catch (RuntimeException | Error e) {
            deleteQuietly(temporary, e);
            throw e;
        }
    }

    /** Writes all of the buffer, however many calls that takes. */
    static void writeFully(FileChannel channel, ByteBuffer buffer) throws IOException {
        while (buffer.hasRemaining()) {
            channel.write(buffer);
        }
    }

    /** The folder a file lies in; the working directory for a bare name. */
    static Path folderOf(Path file) {
        Path parent = file.toAbsolutePath().getParent();
        return parent == null ? file : parent;
    }

    /** Makes a rename in the folder survive a power cut, where the platform can. */
    static void syncFolder(Path folder) {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException e) {
            // Windows cannot open folders, and some network file systems cannot force them: their
            // rename must do.
        }
    }

    /** The one-line error for a failed write. */
    static DeviceException cannotWrite(Path path, long bytes, IOException e) {
        String free;
        try {
            free = Files.getFileStore(folderOf(path)).getUsableSpace() + " bytes are free there";
        } catch (IOException unknown) {
            free = "the free space is unknown";
        }
        return new DeviceException(
                "cannot write %s: %s; %s%s. Make room or choose another folder"
                        .formatted(
                                path,
                                reason(e),
                                bytes > 0 ? "it needs " + bytes + " bytes, " : "",
                                free),
                e);
    }

    /** What went wrong, without the path that {@link IOException#getMessage} often is. */
    public static String reason(IOException e) {
        return switch (e) {
            case NoSuchFileException _ -> "no such file or folder";
            case AccessDeniedException _ -> "permission denied";
            case FileSystemException f when f.getReason() != null -> f.getReason();
            default -> String.valueOf(e.getMessage()).replaceAll("\\s+", " ");
        };
    }

    private static <E extends Throwable> E deleteQuietly(Path temporary, E failure) {
        try {
            Files.deleteIfExists(temporary);
        } catch (IOException e) {
            failure.addSuppressed(e);
        }
        return failure;
    }
}
