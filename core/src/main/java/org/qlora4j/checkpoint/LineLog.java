package org.qlora4j.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;

/**
 * A file that grows by lines, each forced to the disk before it counts: a killed process loses none
 * that it has told of. What a kill cut of a line is dropped when the file is opened again. One
 * process at a time.
 */
public final class LineLog implements AutoCloseable {
    private final Path file;
    private final FileChannel channel;
    private final List<String> lines;

    private LineLog(Path file, FileChannel channel) throws IOException {
        this.file = file;
        this.channel = channel;
        this.lines = read();
    }

    /**
     * Opens a file, made new unless it exists.
     *
     * @throws ConfigException if another process writes to it
     * @throws DeviceException if it cannot be read or written
     */
    public static LineLog open(Path file) {
        FileChannel channel = null;
        try {
            channel =
                    FileChannel.open(
                            file,
                            StandardOpenOption.CREATE,
                            StandardOpenOption.READ,
                            StandardOpenOption.WRITE);
            if (!FileLocks.take(channel)) {
                throw ConfigException.of(
                        "%s is in use by another process; wait until it ends, or name another --out",
                        file);
            }
            return new LineLog(file, channel);
        } catch (IOException e) {
            FileLocks.release(channel);
            throw new DeviceException(
                    "%s cannot be opened: %s".formatted(file, AtomicFiles.reason(e)), e);
        } catch (RuntimeException e) {
            FileLocks.release(channel);
            throw e;
        }
    }

    private List<String> read() throws IOException {
        long size = channel.size();
        if (size > Integer.MAX_VALUE - 8) {
            throw FormatException.of("%s is larger than 2 GiB; name another --out", file);
        }
        ByteBuffer bytes = ByteBuffer.allocate((int) size);
        while (bytes.hasRemaining() && channel.read(bytes, bytes.position()) >= 0) {
            // goes on
        }
        int whole = bytes.position();
        while (whole > 0 && bytes.get(whole - 1) != '\n') {
            whole--;
        }
        channel.truncate(whole);
        channel.position(whole);
        String text = new String(bytes.array(), 0, whole, StandardCharsets.UTF_8);
        List<String> out = new ArrayList<>(List.of(text.split("\n", -1)));
        out.removeLast(); // behind the last line's end
        return out;
    }

    /** The file. */
    public Path file() {
        return file;
    }

    /** Lines that were there when it was opened. */
    public List<String> lines() {
        return lines;
    }

    /** Adds a line, on the disk when this returns. */
    public synchronized void append(String line) {
        ByteBuffer bytes = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8));
        try {
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            channel.force(false);
        } catch (IOException e) {
            throw new DeviceException(
                    "%s cannot be written: %s; what stands in it is kept"
                            .formatted(file, AtomicFiles.reason(e)),
                    e);
        }
    }

    /** Drops all lines. */
    public synchronized void clear() {
        try {
            channel.truncate(0);
            channel.position(0);
        } catch (IOException e) {
            throw new DeviceException(
                    "%s cannot be written: %s".formatted(file, AtomicFiles.reason(e)), e);
        }
    }

    /** Lets other processes have the file. */
    @Override
    public void close() {
        FileLocks.release(channel);
    }
}
