package org.qlora4j.checkpoint;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * A GGUF file of version 2 or 3, mapped into memory: opening reads and checks its header, which has
 * {@code magic, version, counts, key-value pairs, tensor infos}; then come the tensors' bytes.
 */
public final class GgufFile implements AutoCloseable {
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int MAGIC = 0x46554747; // "GGUF"
    private static final int MAX_RANK = 4;
    private static final int MAX_ARRAY_NESTING = 4;
    private static final int MIN_PAIR_BYTES = 8 + 4 + 1;
    private static final int MIN_INFO_BYTES = 8 + 4 + 4 + 8;

    /**
     * One tensor.
     *
     * @param dims dimensions, fastest first: the reverse of a shape
     * @param begin where its bytes begin, counted from the start of the file
     * @param bytes how many they are
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Tensor(String name, GgufType type, long[] dims, long begin, long bytes) {}

    /** The type of a bool. */
    private static final int BOOL = 7;

    private final Path path;
    private final Arena arena;
    private final MemorySegment bytes;
    private final Map<String, Object> metadata = new LinkedHashMap<>();
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();

    private GgufFile(Path path, Arena arena) {
        this.path = path;
        this.arena = arena;
        this.bytes = MappedFile.map(path, arena);
    }

    /** Maps the file and checks its header. */
    @SuppressWarnings("MustBeClosedChecker") // close() closes the arena
    public static GgufFile open(Path path) {
        Arena arena = Arena.ofShared();
        try {
            var file = new GgufFile(path, arena);
            file.readHeader();
            return file;
        } catch (RuntimeException | Error e) {
            arena.close();
            throw e;
        }
    }

    private void readHeader() {
        var cursor = new GgufCursor(path, bytes);
        if (bytes.byteSize() < 4 || cursor.i32("the magic") != MAGIC) {
            throw FormatException.of("%s: does not begin with GGUF; this is no GGUF file", path);
        }
        int version = cursor.i32("the version");
        if (version == 0x03000000 || version == 0x02000000) {
            throw FormatException.of(
                    "%s: is a big-endian GGUF file; fetch the little-endian one", path);
        }
        if (version != 2 && version != 3) {
            throw FormatException.of(
                    "%s: has GGUF version %s; versions 2 and 3 are read, convert it with a current llama.cpp",
                    path, Integer.toUnsignedString(version));
        }
        long tensorCount = cursor.count("the number of tensors", MIN_INFO_BYTES);
        long pairCount = cursor.count("the number of key-value pairs", MIN_PAIR_BYTES);
        for (long i = 0; i < pairCount; i++) {
            readPair(cursor);
        }
        long alignment = integer("general.alignment", 32);
        if (alignment < 8 || Long.bitCount(alignment) != 1) {
            throw FormatException.of(
                    "%s: general.alignment must be a power of two of at least 8, got %d; the file is damaged",
                    path, alignment);
        }
        for (long i = 0; i < tensorCount; i++) {
            readInfo(cursor, alignment);
        }
        long dataStart = (cursor.position() + alignment - 1) / alignment * alignment;
        tensors.replaceAll((_, tensor) -> place(tensor, dataStart));
    }

    private void readPair(GgufCursor cursor) {
        String key = cursor.name("a key");
        Object value = readValue(cursor, key, cursor.i32("the type of " + key), 0);
        if (metadata.put(key, value) != null) {
            throw FormatException.of("%s: key %s occurs twice; the file is damaged", path, key);
        }
    }

    /** A Long, Double, Boolean or String; of an array only its place. */
    private Object readValue(GgufCursor cursor, String key, int type, int depth) {
        return switch (type) {
            case 0 -> (long) Byte.toUnsignedInt(cursor.i8(key));
            case 1 -> (long) cursor.i8(key);
            case 2 -> (long) Short.toUnsignedInt(cursor.i16(key));
            case 3 -> (long) cursor.i16(key);
            case 4 -> Integer.toUnsignedLong(cursor.i32(key));
            case 5 -> (long) cursor.i32(key);
            case 6 -> (double) Float.intBitsToFloat(cursor.i32(key));
            case 7 -> cursor.i8(key) != 0;
            case 8 -> cursor.string(key);
            case 9 -> skipArray(cursor, key, depth);
            case 10, 11 -> cursor.i64(key);
            case 12 -> Double.longBitsToDouble(cursor.i64(key));
            default ->
                    throw FormatException.of(
                            "%s: key %s has the unknown type %s; the file is damaged",
                            path, key, Integer.toUnsignedString(type));
        };
    }

    /** Where the elements of an array begin; they are read when they are asked for. */
    private record ArrayPlace(int type, long count, long at) {}

    private ArrayPlace skipArray(GgufCursor cursor, String key, int depth) {
        if (depth == MAX_ARRAY_NESTING) {
            throw FormatException.of(
                    "%s: key %s nests arrays too deeply; the file is damaged", path, key);
        }
        int type = cursor.i32("the element type of " + key);
        int size =
                switch (type) {
                    case 0, 1, 7 -> 1;
                    case 2, 3 -> 2;
                    case 4, 5, 6 -> 4;
                    case 10, 11, 12 -> 8;
                    default -> 0;
                };
        long count = cursor.count("the length of " + key, Math.max(1, size));
        long at = cursor.position();
        if (size > 0) {
            cursor.skip(count * size, key);
        } else {
            for (long i = 0; i < count; i++) {
                if (type == 8) {
                    cursor.skip(cursor.count("the length of a string of " + key, 1), key);
                } else {
                    readValue(cursor, key, type, depth + 1);
                }
            }
        }
        return new ArrayPlace(type, count, at);
    }

    /** Reads one info; {@code begin} is still counted from the start of the data. */
    private void readInfo(GgufCursor cursor, long alignment) {
        String name = cursor.name("a tensor's name");
        int rank = cursor.i32("the rank of " + name);
        if (rank < 1 || rank > MAX_RANK) {
            throw FormatException.of(
                    "%s: tensor %s has %s dimensions; 1 to %d are allowed, the file is damaged",
                    path, name, Integer.toUnsignedString(rank), MAX_RANK);
        }
        var dims = new long[rank];
        for (int i = 0; i < rank; i++) {
            dims[i] = cursor.i64("the dimensions of " + name);
        }
        int id = cursor.i32("the type of " + name);
        GgufType type = GgufType.of(id);
        if (type == null) {
            throw FormatException.of(
                    "%s: tensor %s has the type %s, which is not read; read are %s, e.g. convert the model to Q8_0",
                    path, name, Integer.toUnsignedString(id), GgufType.DECODED);
        }
        long offset = cursor.i64("the offset of " + name);
        if (offset < 0 || offset % alignment != 0) {
            throw FormatException.of(
                    "%s: tensor %s begins at %s of the data, which must be a multiple of %d; the file is damaged",
                    path, name, Long.toUnsignedString(offset), alignment);
        }
        if (tensors.put(name, new Tensor(name, type, dims, offset, bytes(name, type, dims)))
                != null) {
            throw FormatException.of("%s: tensor %s occurs twice; the file is damaged", path, name);
        }
    }

    private long bytes(String name, GgufType type, long[] dims) {
        try {
            long blocks = StoredType.elements(dims) / type.blockElements;
            if (dims[0] % type.blockElements != 0) {
                throw FormatException.of(
                        "%s: tensor %s has rows of %d elements, but %s comes in blocks of %d; the file is damaged",
                        path, name, dims[0], type, type.blockElements);
            }
            return Math.multiplyExact(blocks, type.blockBytes);
        } catch (ArithmeticException e) {
            throw new FormatException(
                    "%s: tensor %s has an impossible size (%s); the file is damaged"
                            .formatted(path, name, e.getMessage()),
                    e);
        }
    }

    private Tensor place(Tensor tensor, long dataStart) {
        long held = Math.max(0, bytes.byteSize() - dataStart);
        if (tensor.begin > held || tensor.bytes > held - tensor.begin) {
            throw FormatException.of(
                    "%s: has %d bytes, but tensor %s needs %d from byte %s on; the download was cut off, fetch it again",
                    path,
                    bytes.byteSize(),
                    tensor.name,
                    tensor.bytes,
                    Long.toUnsignedString(dataStart + tensor.begin));
        }
        return new Tensor(
                tensor.name, tensor.type, tensor.dims, dataStart + tensor.begin, tensor.bytes);
    }

    /** The tensors by name, in the order of the file. */
    Map<String, Tensor> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    /** The bytes of a tensor, as a view of the file. */
    MemorySegment data(Tensor tensor) {
        return bytes.asSlice(tensor.begin, tensor.bytes);
    }

    /** The string under a key, or null if it is absent. */
    public @Nullable String string(String key) {
        return switch (metadata.get(key)) {
            case null -> null;
            case String value -> value;
            case Object other ->
                    throw FormatException.of(
                            "%s: key %s must be a string, got %s", path, key, other);
        };
    }

    /** The integer under a key, or a value for its absence. */
    public long integer(String key, long absent) {
        return switch (metadata.get(key)) {
            case null -> absent;
            case Long value -> value;
            case Object other ->
                    throw FormatException.of(
                            "%s: key %s must be an integer, got %s",
                            path, key, StrictJson.clip(other.toString()));
        };
    }

    /** The size or id under a key, which has 32 bits, or a value for its absence. */
    public int count(String key, long absent) {
        long number = integer(key, absent);
        if (number != (int) number) {
            throw FormatException.of(
                    "%s: key %s is %d, more than any model has; the file is damaged",
                    path, key, number);
        }
        return (int) number;
    }

    /** The number under a key, or a value for its absence. */
    public double number(String key, double absent) {
        return switch (metadata.get(key)) {
            case null -> absent;
            case Double value -> value;
            case Long value -> value;
            case Object other ->
                    throw FormatException.of(
                            "%s: key %s must be a number, got %s",
                            path, key, StrictJson.clip(other.toString()));
        };
    }

    /** The truth under a key, or a value for its absence. */
    public boolean flag(String key, boolean absent) {
        return switch (metadata.get(key)) {
            case null -> absent;
            case Boolean value -> value;
            case Object other ->
                    throw FormatException.of(
                            "%s: key %s must be true or false, got %s",
                            path, key, StrictJson.clip(other.toString()));
        };
    }

    /** Whether there is such a key. */
    public boolean has(String key) {
        return metadata.containsKey(key);
    }

    /** The strings under a key; empty if it is absent. */
    public List<String> strings(String key) {
        List<String> out = new ArrayList<>();
        ArrayPlace place = array(key, 8, 8);
        if (place != null) {
            var cursor = new GgufCursor(path, bytes.asSlice(place.at));
            for (long i = 0; i < place.count; i++) {
                out.add(cursor.string("a string of " + key));
            }
        }
        return out;
    }

    /** The whole numbers of 32 bits under a key; empty if it is absent. */
    public int[] integers(String key) {
        ArrayPlace place = array(key, 5, 4); // i32, or u32
        if (place == null) {
            return new int[0];
        }
        return bytes.asSlice(place.at, 4 * place.count).toArray(INT);
    }

    /** The truths under a key, as bools or as 0 and 1; empty if it is absent or a single value. */
    public List<Boolean> flags(String key) {
        List<Boolean> out = new ArrayList<>();
        if (metadata.get(key) instanceof ArrayPlace place) {
            if (place.type == BOOL) {
                for (long i = 0; i < place.count; i++) {
                    out.add(bytes.get(ValueLayout.JAVA_BYTE, place.at + i) != 0);
                }
            } else {
                for (int value : integers(key)) {
                    out.add(value != 0);
                }
            }
        }
        return out;
    }

    /** The numbers of type f32 under a key; empty if it is absent. */
    public float[] floats(String key) {
        ArrayPlace place = array(key, 6, 6);
        if (place == null) {
            return new float[0];
        }
        return bytes.asSlice(place.at, 4 * place.count).toArray(FLOAT);
    }

    private @Nullable ArrayPlace array(String key, int type, int other) {
        return switch (metadata.get(key)) {
            case null -> null;
            case ArrayPlace place when place.type == type || place.type == other -> place;
            case Object _ ->
                    throw FormatException.of(
                            "%s: key %s must be an array of another type; the file is damaged",
                            path, key);
        };
    }

    /** Whether there is a tensor of this name. */
    public boolean hasTensor(String name) {
        return tensors.containsKey(name);
    }

    /** The values of a tensor of type F32. */
    public float[] floatTensor(String name) {
        Tensor tensor = tensors.get(name);
        if (tensor == null || tensor.type != GgufType.F32) {
            throw FormatException.of("%s: tensor %s must be there, as F32", path, name);
        }
        return data(tensor).toArray(FLOAT);
    }

    /** The file's path, as given. */
    public Path path() {
        return path;
    }

    @Override
    public void close() {
        arena.close();
    }
}
