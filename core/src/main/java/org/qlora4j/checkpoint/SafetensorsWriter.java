package org.qlora4j.checkpoint;

import java.io.IOException;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.ObjectWriteContext;
import tools.jackson.core.json.JsonFactory;

/**
 * Writes a safetensors file, tensor by tensor, as {@link AtomicFiles} writes: whole or not at all.
 * Tensors are named first, in any order; {@link #write} asks each for its bytes when their turn has
 * come, so that one at a time need be in memory. The bytes of the file are those that the reference
 * implementation (safetensors 0.8) writes for the same tensors: by descending type, then name in
 * UTF-8; keys of the metadata sorted; header padded with spaces to 8.
 */
public final class SafetensorsWriter implements TensorWriter {
    private static final int BUFFER = 1 << 20;

    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Entry(String name, StoredType type, long[] shape, long bytes, Source source) {
        static final Comparator<Entry> ORDER =
                Comparator.comparing(Entry::type)
                        .reversed()
                        .thenComparing(
                                e -> e.name.getBytes(StandardCharsets.UTF_8),
                                Arrays::compareUnsigned);
    }

    private final Map<String, String> metadata;
    private final List<Entry> entries = new ArrayList<>();
    private final Set<String> names = new HashSet<>();

    /**
     * A file without tensors yet; {@code metadata} is most often {@code {"format": "pt"}}, which
     * PyTorch users expect.
     */
    public SafetensorsWriter(Map<String, String> metadata) {
        this.metadata = new TreeMap<>(metadata);
    }

    @Override
    public SafetensorsWriter add(String name, StoredType type, long[] shape, MemorySegment data) {
        return add(name, type, shape, sink -> sink.accept(data));
    }

    /** Adds a tensor as another file holds it. */
    public SafetensorsWriter add(StoredTensor tensor) {
        return add(tensor.name(), tensor.type(), tensor.shape(), tensor.data());
    }

    @Override
    public SafetensorsWriter add(String name, StoredType type, long[] shape, Source source) {
        if (name.equals("__metadata__") || !names.add(name)) {
            throw new IllegalArgumentException(
                    "tensor name " + name + " is reserved or given twice");
        }
        entries.add(new Entry(name, type, shape.clone(), type.bytesOf(shape), source));
        return this;
    }

    /**
     * Writes the file, replacing one of that name.
     *
     * @throws org.qlora4j.error.DeviceException if it cannot be written, e.g. because the disk is
     *     full
     */
    public void write(Path file) {
        List<Entry> ordered = entries.stream().sorted(Entry.ORDER).toList();
        byte[] header = header(ordered);
        if (header.length > SafetensorsFile.MAX_HEADER) {
            throw new IllegalArgumentException(
                    "header of " + header.length + " bytes, which no reader takes");
        }
        long total =
                8
                        + header.length
                        + ordered.stream().mapToLong(Entry::bytes).reduce(0, Math::addExact);
        AtomicFiles.write(file, total, channel -> writeTo(channel, header, ordered));
    }

    private static void writeTo(FileChannel channel, byte[] header, List<Entry> ordered)
            throws IOException {
        ByteBuffer length =
                ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(header.length).flip();
        AtomicFiles.writeFully(channel, length);
        AtomicFiles.writeFully(channel, ByteBuffer.wrap(header));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(BUFFER);
            for (Entry entry : ordered) {
                long begin = channel.position();
                entry.source.copyTo(part -> copy(part, buffer, channel));
                long given = channel.position() - begin;
                if (given != entry.bytes) {
                    throw new IllegalStateException(
                            "tensor %s takes %d bytes, its source gave %d"
                                    .formatted(entry.name, entry.bytes, given));
                }
            }
        }
    }

    /**
     * Through a buffer, because a channel takes no more than 2 GB at once, and no heap segment but
     * bytes.
     */
    private static void copy(MemorySegment part, MemorySegment buffer, FileChannel channel)
            throws IOException {
        for (long at = 0; at < part.byteSize(); at += BUFFER) {
            long count = Math.min(BUFFER, part.byteSize() - at);
            MemorySegment.copy(part, at, buffer, 0, count);
            AtomicFiles.writeFully(channel, buffer.asSlice(0, count).asByteBuffer());
        }
    }

    private byte[] header(List<Entry> ordered) {
        var text = new StringWriter();
        try (JsonGenerator json =
                new JsonFactory().createGenerator(ObjectWriteContext.empty(), text)) {
            json.writeStartObject();
            if (!metadata.isEmpty()) {
                json.writeName("__metadata__");
                json.writeStartObject();
                metadata.forEach(json::writeStringProperty);
                json.writeEndObject();
            }
            long at = 0;
            for (Entry entry : ordered) {
                json.writeName(entry.name);
                json.writeStartObject();
                json.writeStringProperty("dtype", entry.type.name());
                json.writeName("shape");
                json.writeArray(entry.shape, 0, entry.shape.length);
                json.writeName("data_offsets");
                json.writeArray(new long[] {at, at + entry.bytes}, 0, 2);
                json.writeEndObject();
                at += entry.bytes;
            }
            json.writeEndObject();
        }
        byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
        byte[] padded = Arrays.copyOf(bytes, (bytes.length + 7) / 8 * 8);
        Arrays.fill(padded, bytes.length, padded.length, (byte) ' ');
        return padded;
    }
}
