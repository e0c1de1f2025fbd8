package org.qlora4j.data;

import dev.hardwood.InputFile;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The bytes of a Parquet file, copied range by range. A mapped file that another process cuts short
 * would end the JVM by SIGBUS inside a native decompressor; a range that is no longer there is an
 * {@link IOException} here.
 */
final class ParquetBytes implements InputFile {
    /** Largest range that the reader asks for, where it would ask for 128 MiB of heap. */
    private static final int RANGE = 4 << 20;

    static {
        for (String setting : List.of("sequentialChunkSize", "maxCoalescedBytes")) {
            String name = "hardwood.internal." + setting;
            if (System.getProperty(name) == null) {
                System.setProperty(name, Integer.toString(RANGE));
            }
        }
    }

    private final Path file;
    private @Nullable FileChannel channel;
    private long length;

    ParquetBytes(Path file) {
        this.file = file;
    }

    @Override
    public void open() throws IOException {
        if (channel == null) {
            channel = FileChannel.open(file, StandardOpenOption.READ);
            length = channel.size();
        }
    }

    @Override
    public ByteBuffer readRange(long offset, int count) throws IOException {
        FileChannel open = opened();
        if (offset < 0 || count < 0 || count > length - offset) {
            throw new IOException(
                    "%d bytes at %d of a file of %d bytes".formatted(count, offset, length));
        }
        ByteBuffer bytes = ByteBuffer.allocate(count);
        while (bytes.hasRemaining()) {
            if (open.read(bytes, offset + bytes.position()) < 0) {
                throw new IOException(
                        "the file was cut short while it was read, from %d bytes to %d"
                                .formatted(length, open.size()));
            }
        }
        return bytes.flip();
    }

    @Override
    public long length() throws IOException {
        opened();
        return length;
    }

    @Override
    public String name() {
        return file.toString();
    }

    @Override
    public void close() throws IOException {
        if (channel != null) {
            channel.close();
        }
    }

    private FileChannel opened() throws IOException {
        if (channel == null) {
            throw new IOException("the file is not open");
        }
        return channel;
    }
}
