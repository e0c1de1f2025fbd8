package org.qlora4j.checkpoint;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Writes a GGUF file of version 3: key-value pairs and named tensors, whole or not at all. Tensors
 * are asked for their bytes when their turn has come.
 */
public final class GgufWriter {
    /** Tensors begin at multiples of this, the format's own default. */
    private static final int ALIGNMENT = 32;

    private static final int BUFFER = 1 << 20;
    private static final int U32 = 4;
    private static final int I32 = 5;
    private static final int F32 = 6;
    private static final int BOOL = 7;
    private static final int STRING = 8;
    private static final int ARRAY = 9;

    private record Entry(String name, GgufType type, List<Long> dims, TensorWriter.Source source) {
        long bytes() {
            long elements = dims.stream().reduce(1L, Math::multiplyExact);
            return elements / type.blockElements * type.blockBytes;
        }
    }

    /** Bytes that grow, little-endian. */
    private static final class Bytes {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        void i32(int value) {
            put(4, value);
        }

        void i64(long value) {
            put(8, value);
        }

        void put(int count, long value) {
            for (int i = 0; i < count; i++) {
                out.write((int) (value >> 8 * i));
            }
        }

        void string(String text) {
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            i64(bytes.length);
            out.writeBytes(bytes);
        }

        byte[] all() {
            return out.toByteArray();
        }
    }

    private final Map<String, byte[]> pairs = new LinkedHashMap<>();
    private final List<Entry> entries = new ArrayList<>();

    /** A string. */
    public GgufWriter put(String key, String value) {
        Bytes bytes = new Bytes();
        bytes.i32(STRING);
        bytes.string(value);
        return put(key, bytes);
    }

    /** A whole number from 0, as u32. */
    public GgufWriter put(String key, int value) {
        Bytes bytes = new Bytes();
        bytes.i32(U32);
        bytes.i32(value);
        return put(key, bytes);
    }

    /** A number, as f32. */
    public GgufWriter put(String key, float value) {
        Bytes bytes = new Bytes();
        bytes.i32(F32);
        bytes.i32(Float.floatToRawIntBits(value));
        return put(key, bytes);
    }

    /** True or false. */
    public GgufWriter put(String key, boolean value) {
        Bytes bytes = new Bytes();
        bytes.i32(BOOL);
        bytes.put(1, value ? 1 : 0);
        return put(key, bytes);
    }

    /** An array of strings. */
    public GgufWriter put(String key, List<String> values) {
        Bytes bytes = array(STRING, values.size());
        values.forEach(bytes::string);
        return put(key, bytes);
    }

    /** An array of i32. */
    public GgufWriter put(String key, int[] values) {
        Bytes bytes = array(I32, values.length);
        Arrays.stream(values).forEach(bytes::i32);
        return put(key, bytes);
    }

    /** An array of f32. */
    public GgufWriter put(String key, float[] values) {
        Bytes bytes = array(F32, values.length);
        for (float value : values) {
            bytes.i32(Float.floatToRawIntBits(value));
        }
        return put(key, bytes);
    }

    private static Bytes array(int type, long count) {
        Bytes bytes = new Bytes();
        bytes.i32(ARRAY);
        bytes.i32(type);
        bytes.i64(count);
        return bytes;
    }

    private GgufWriter put(String key, Bytes value) {
        if (pairs.put(key, value.all()) != null) {
            throw new IllegalArgumentException(key + " is given twice");
        }
        return this;
    }

    /**
     * Adds a tensor.
     *
     * @param shape slowest dimension first
     * @param source gives exactly the bytes that type and shape take
     */
    public GgufWriter add(String name, GgufType type, long[] shape, TensorWriter.Source source) {
        List<Long> dims = new ArrayList<>();
        for (long size : shape) {
            dims.addFirst(size);
        }
        if (dims.getFirst() % type.blockElements != 0) {
            throw new IllegalArgumentException(
                    "%s: rows of %d do not fill blocks of %s"
                            .formatted(name, dims.getFirst(), type));
        }
        entries.add(new Entry(name, type, dims, source));
        return this;
    }

    /** Bytes of all tensors. */
    public long tensorBytes() {
        return entries.stream().mapToLong(Entry::bytes).sum();
    }

    /** Number of tensors. */
    public int tensors() {
        return entries.size();
    }

    /**
     * Writes the file, replacing one of that name.
     *
     * @throws org.qlora4j.error.DeviceException if it cannot be written
     */
    public void write(Path file) {
        byte[] header = header();
        long total = header.length + entries.stream().mapToLong(e -> aligned(e.bytes())).sum();
        AtomicFiles.write(file, total, channel -> write(channel, header));
    }

    private byte[] header() {
        Bytes bytes = new Bytes();
        bytes.out.writeBytes("GGUF".getBytes(StandardCharsets.US_ASCII));
        bytes.i32(3);
        bytes.i64(entries.size());
        bytes.i64(pairs.size());
        pairs.forEach((key, value) -> {
            bytes.string(key);
            bytes.out.writeBytes(value);
        });
        long offset = 0;
        for (Entry entry : entries) {
            bytes.string(entry.name);
            bytes.i32(entry.dims.size());
            entry.dims.forEach(bytes::i64);
            bytes.i32(entry.type.id);
            bytes.i64(offset);
            offset += aligned(entry.bytes());
        }
        byte[] all = bytes.all();
        return Arrays.copyOf(all, Math.toIntExact(aligned(all.length)));
    }

    private static long aligned(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    private void write(FileChannel channel, byte[] header) throws IOException {
        AtomicFiles.writeFully(channel, ByteBuffer.wrap(header));
        ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER).order(ByteOrder.LITTLE_ENDIAN);
        for (Entry entry : entries) {
            long begin = channel.position();
            entry.source.copyTo(part -> copy(part, buffer, channel));
            long given = channel.position() - begin;
            if (given != entry.bytes()) {
                throw new IllegalStateException(
                        "tensor %s takes %d bytes, its source gave %d"
                                .formatted(entry.name, entry.bytes(), given));
            }
            int padding = (int) (aligned(given) - given);
            AtomicFiles.writeFully(channel, ByteBuffer.allocate(padding));
        }
    }

    private static void copy(MemorySegment part, ByteBuffer buffer, FileChannel channel)
            throws IOException {
        for (long at = 0; at < part.byteSize(); at += BUFFER) {
            int count = (int) Math.min(BUFFER, part.byteSize() - at);
            buffer.clear().limit(count);
            MemorySegment.ofBuffer(buffer).copyFrom(part.asSlice(at, count));
            AtomicFiles.writeFully(channel, buffer);
        }
    }
}
