package org.qlora4j.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import org.qlora4j.error.FormatException;

/**
 * Reads the little-endian numbers and strings of a GGUF header one after another, never past the
 * end of the file.
 */
final class GgufCursor {
    private static final ValueLayout.OfShort I16 =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt I32 =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong I64 =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path file;
    private final MemorySegment bytes;
    private long at;

    GgufCursor(Path file, MemorySegment bytes) {
        this.file = file;
        this.bytes = bytes;
    }

    /** Bytes read so far. */
    long position() {
        return at;
    }

    byte i8(String what) {
        return bytes.get(ValueLayout.JAVA_BYTE, advance(1, what));
    }

    short i16(String what) {
        return bytes.get(I16, advance(2, what));
    }

    int i32(String what) {
        return bytes.get(I32, advance(4, what));
    }

    long i64(String what) {
        return bytes.get(I64, advance(8, what));
    }

    /**
     * A u64 that counts things of at least {@code least} bytes each. The rest of the file must be
     * able to hold them.
     */
    long count(String what, long least) {
        long count = i64(what);
        long remaining = bytes.byteSize() - at;
        if (count < 0 || count > remaining / least) {
            throw FormatException.of(
                    "%s: %s is %s, more than the %d bytes that follow can hold; the file is cut off or damaged, fetch it"
                            + " again",
                    file, what, Long.toUnsignedString(count), remaining);
        }
        return count;
    }

    /** A string of UTF-8. */
    String string(String what) {
        long length = count("the length of " + what, 1);
        return StrictJson.utf8(file, what, bytes.asSlice(advance(length, what), length));
    }

    /** A string that names something: short, and of one line. */
    String name(String what) {
        String name = string(what);
        if (name.length() > StrictJson.MAX_NAME || name.chars().anyMatch(Character::isISOControl)) {
            throw FormatException.of(
                    "%s: %s '%s' is longer than %d characters or holds control characters; the file is damaged",
                    file, what, StrictJson.clip(name), StrictJson.MAX_NAME);
        }
        return name;
    }

    /** Passes over bytes. */
    void skip(long count, String what) {
        advance(count, what);
    }

    private long advance(long count, String what) {
        if (count > bytes.byteSize() - at) {
            throw FormatException.of(
                    "%s: ends at byte %d, inside %s; the download was cut off, fetch it again",
                    file, bytes.byteSize(), what);
        }
        long from = at;
        at += count;
        return from;
    }
}
