package org.qlora4j.run;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.FileLocks;
import org.qlora4j.error.ConfigException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A run folder has one process at a time. The file {@code run.lock} holds the id of that process;
 * what counts is the system's lock on it, which ends with the process, however that ends.
 */
public final class RunLock implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(RunLock.class);
    static final String FILE = "run.lock";
    private static final int TRIES = 5;

    private final Path file;
    private final @Nullable FileChannel channel;

    private RunLock(Path file, @Nullable FileChannel channel) {
        this.file = file;
        this.channel = channel;
    }

    /**
     * Takes the folder for this process.
     *
     * @throws ConfigException if another process has it
     */
    public static RunLock take(Path folder) {
        Path file = folder.resolve(FILE);
        for (int i = 0; i < TRIES; i++) {
            FileChannel channel = null;
            try {
                Object before = keyOf(file);
                channel =
                        FileChannel.open(
                                file,
                                StandardOpenOption.CREATE,
                                StandardOpenOption.READ,
                                StandardOpenOption.WRITE);
                if (!FileLocks.take(channel)) {
                    throw ConfigException.of(
                            "%s is in use by process %s; wait until it ends, or name another train.output_dir",
                            folder, holder(channel));
                }
                // Who had it before may have deleted the file after we opened it. (To open it again
                // and look would not do: on POSIX systems closing that would end our lock.)
                if (before != null && before.equals(keyOf(file))) {
                    String mark = String.valueOf(ProcessHandle.current().pid());
                    channel.truncate(0);
                    channel.write(ByteBuffer.wrap(mark.getBytes(StandardCharsets.UTF_8)), 0);
                    return new RunLock(file, channel);
                }
                channel.close();
            } catch (ConfigException e) {
                FileLocks.release(channel);
                throw e;
            } catch (IOException e) { // some network file systems lock nothing
                FileLocks.release(channel);
                LOG.warn("{} cannot be locked: {}", folder, AtomicFiles.reason(e));
                return new RunLock(file, null);
            }
        }
        throw ConfigException.of(
                "%s is being taken by other processes; wait until they end", folder);
    }

    /** What tells the file from another of its name; null where there is none. */
    private static @Nullable Object keyOf(Path file) throws IOException {
        if (!Files.exists(file)) {
            return null;
        }
        var attributes = Files.readAttributes(file, BasicFileAttributes.class);
        return attributes.fileKey() == null ? attributes.creationTime() : attributes.fileKey();
    }

    private static String holder(FileChannel channel) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(64);
        channel.read(bytes, 0);
        String mark = new String(bytes.array(), 0, bytes.position(), StandardCharsets.UTF_8);
        return mark.isBlank() ? "unknown" : mark;
    }

    /** Gives the folder back. */
    @Override
    public void close() {
        if (channel == null) {
            return;
        }
        try {
            Files.deleteIfExists(file); // before the lock ends, so that nobody else's is deleted
        } catch (IOException e) {
            LOG.warn("{} cannot be deleted: {}", file, AtomicFiles.reason(e));
        }
        FileLocks.release(channel);
    }
}
