package org.qlora4j.checkpoint;

import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Element types of safetensors, under the names the header gives them, narrow to wide.
 *
 * <p>The order is that of the reference implementation (safetensors 0.8, {@code enum Dtype}), which
 * writes tensors by descending type, then name; {@link SafetensorsWriter} does so too, and its
 * files equal the reference's byte for byte.
 */
public enum StoredType {
    BOOL(8),
    F4(4),
    F6_E2M3(6),
    F6_E3M2(6),
    U8(8),
    I8(8),
    F8_E5M2(8),
    F8_E4M3(8),
    F8_E8M0(8),
    F8_E4M3FNUZ(8),
    F8_E5M2FNUZ(8),
    I16(16),
    U16(16),
    F16(16),
    BF16(16),
    I32(32),
    U32(32),
    F32(32),
    C64(64),
    F64(64),
    I64(64),
    U64(64);

    private static final Map<String, StoredType> BY_NAME =
            Stream.of(values())
                    .collect(Collectors.toUnmodifiableMap(Enum::name, Function.identity()));

    private final int bits;

    StoredType(int bits) {
        this.bits = bits;
    }

    /** The type of this name, or null if there is none. */
    static @Nullable StoredType named(String name) {
        return BY_NAME.get(name);
    }

    /** Bits of one element. */
    public int bits() {
        return bits;
    }

    /** Bytes of one element. Not defined for F4 and F6, whose elements share bytes. */
    public int elementBytes() {
        if (bits % 8 != 0) {
            throw new IllegalStateException(this + " has " + bits + " bits an element");
        }
        return bits / 8;
    }

    /**
     * Bytes of a tensor of this type.
     *
     * @throws ArithmeticException if the size overflows, a dimension is negative or the last byte
     *     is not filled
     */
    public long bytesOf(long... shape) {
        long total = Math.multiplyExact(elements(shape), bits);
        if (total % 8 != 0) {
            throw new ArithmeticException(total + " bits do not fill whole bytes");
        }
        return total / 8;
    }

    /**
     * Product of the dimensions; 1 for a scalar, {@code []}.
     *
     * @throws ArithmeticException if it overflows or a dimension is negative
     */
    static long elements(long... shape) {
        long elements = 1;
        for (long dimension : shape) {
            if (dimension < 0) {
                throw new ArithmeticException("negative dimension " + dimension);
            }
            elements = Math.multiplyExact(elements, dimension);
        }
        return elements;
    }
}
