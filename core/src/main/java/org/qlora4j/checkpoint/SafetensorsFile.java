package org.qlora4j.checkpoint;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.qlora4j.error.FormatException;

/**
 * A safetensors file, mapped into memory: opening reads and checks the header only, a tensor is a
 * view of the file. May be used by several threads; close it when no view is in use any more.
 */
public final class SafetensorsFile implements TensorFile {
    /** Bytes of the longest header, as in the reference implementation. */
    static final long MAX_HEADER = 100_000_000;

    private static final ValueLayout.OfLong U64 =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path path;
    private final Arena arena;
    private final MemorySegment data;
    private final Map<String, String> metadata;
    private final Map<String, SafetensorsHeader.Entry> entries = new LinkedHashMap<>();

    private SafetensorsFile(Path path, Arena arena, MemorySegment data, SafetensorsHeader header) {
        this.path = path;
        this.arena = arena;
        this.data = data;
        this.metadata = Collections.unmodifiableMap(header.metadata());
        header.entries().forEach(entry -> entries.put(entry.name(), entry));
    }

    /**
     * Maps the file and checks its header.
     *
     * @throws FormatException if the file is missing, cut off, or anything in its header is not as
     *     the format says
     */
    @SuppressWarnings("MustBeClosedChecker") // close() closes the arena
    public static SafetensorsFile open(Path path) {
        Arena arena = Arena.ofShared();
        try {
            MemorySegment bytes = MappedFile.map(path, arena);
            long size = bytes.byteSize();
            if (size < 8) {
                throw FormatException.of(
                        "%s: a safetensors file has at least 8 bytes, this one has %d; fetch it again",
                        path, size);
            }
            long length = bytes.get(U64, 0);
            if (length < 0 || length > MAX_HEADER) {
                throw FormatException.of(
                        "%s: header of %s bytes, more than the %d allowed; this is no safetensors file, or it is"
                                + " damaged",
                        path, Long.toUnsignedString(length), MAX_HEADER);
            }
            if (8 + length > size) {
                throw FormatException.of(
                        "%s: has %d bytes, but its header alone ends at %d; the download was cut off, or this is no"
                                + " safetensors file",
                        path, size, 8 + length);
            }
            String text = StrictJson.utf8(path, "header", bytes.asSlice(8, length));
            SafetensorsHeader header = SafetensorsHeader.parse(path, text);
            long held = size - 8 - length;
            if (header.dataBytes() != held) {
                throw FormatException.of(
                        "%s: has %d bytes, but its header calls for %s; %s",
                        path,
                        size,
                        Long.toUnsignedString(8 + length + header.dataBytes()),
                        held < header.dataBytes()
                                ? "the download was cut off, fetch it again"
                                : "something was appended to it, fetch it again");
            }
            return new SafetensorsFile(path, arena, bytes.asSlice(8 + length), header);
        } catch (RuntimeException | Error e) {
            arena.close();
            throw e;
        }
    }

    @Override
    public Path path() {
        return path;
    }

    /** The strings under {@code __metadata__}, e.g. {@code format=pt}. */
    public Map<String, String> metadata() {
        return metadata;
    }

    /** Names of the tensors, in the order of their bytes in the file. */
    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(entries.keySet());
    }

    @Override
    public StoredInfo info(String name) {
        SafetensorsHeader.Entry entry = entry(name);
        return new StoredInfo(name, entry.type(), entry.shape());
    }

    /** The tensor as a view of the file, valid until this reader is closed. */
    public StoredTensor tensor(String name) {
        SafetensorsHeader.Entry entry = entry(name);
        MemorySegment view = data.asSlice(entry.begin(), entry.end() - entry.begin());
        return new StoredTensor(name, entry.type(), entry.shape(), view, path);
    }

    @Override
    public StoredTensor read(String name, Arena arena) {
        return tensor(name);
    }

    /** Bytes of all tensors together. */
    public long bytes() {
        return data.byteSize();
    }

    private SafetensorsHeader.Entry entry(String name) {
        SafetensorsHeader.Entry entry = entries.get(name);
        if (entry == null) {
            throw FormatException.of(
                    "%s has no tensor %s (it holds %d others)", path, name, entries.size());
        }
        return entry;
    }

    /** Unmaps the file: every view of it becomes invalid. */
    @Override
    public void close() {
        arena.close();
    }
}
