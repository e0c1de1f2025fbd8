package org.qlora4j.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.stream.IntStream;

/** Float tensors of any type as the bytes of a GGUF type, a few rows at a time. */
public final class GgufTensors {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** Values that are encoded at once. */
    private static final int PART = 1 << 22;

    private GgufTensors() {}

    /** Whether a row of so many values can be of this type, which is written at all. */
    public static boolean writes(GgufType type, long width) {
        return switch (type) {
            case F32, F16, BF16 -> true;
            default -> GgufEncoder.encodes(type) && width % type.blockElements == 0;
        };
    }

    /**
     * Encodes a tensor.
     *
     * @param values f32, little-endian, row after row
     * @param width values of a row
     * @param sink takes the bytes in parts
     */
    public static void encode(
            GgufType type, MemorySegment values, long width, TensorWriter.Sink sink)
            throws IOException {
        long count = values.byteSize() / Float.BYTES;
        int rows = (int) Math.clamp(PART / width, 1, Math.max(1, count / width));
        for (long row = 0; row < count / width; row += rows) {
            int taken = (int) Math.min(rows, count / width - row);
            MemorySegment part =
                    values.asSlice(row * width * Float.BYTES, taken * width * Float.BYTES);
            sink.accept(encoded(type, part, Math.toIntExact(width), taken));
        }
    }

    private static MemorySegment encoded(GgufType type, MemorySegment part, int width, int rows) {
        int rowBytes = width / type.blockElements * type.blockBytes;
        byte[] out = new byte[Math.multiplyExact(rows, rowBytes)];
        MemorySegment target = MemorySegment.ofArray(out);
        float[] values = part.toArray(FLOAT); // its own memory may belong to one thread
        IntStream.range(0, rows)
                .parallel()
                .forEach(row -> {
                    float[] in = Arrays.copyOfRange(values, row * width, (row + 1) * width);
                    encodeRow(type, in, target.asSlice((long) row * rowBytes, rowBytes));
                });
        return target;
    }

    private static void encodeRow(GgufType type, float[] in, MemorySegment out) {
        switch (type) {
            case F32 -> MemorySegment.copy(in, 0, out, FLOAT, 0, in.length);
            case F16 -> {
                for (int i = 0; i < in.length; i++) {
                    out.set(SHORT, 2L * i, Float.floatToFloat16(in[i]));
                }
            }
            case BF16 -> {
                for (int i = 0; i < in.length; i++) {
                    out.set(SHORT, 2L * i, GgufRow.bf16(in[i]));
                }
            }
            default -> {
                byte[] bytes = new byte[Math.toIntExact(out.byteSize())];
                GgufEncoder.encode(type, in, bytes);
                out.copyFrom(MemorySegment.ofArray(bytes));
            }
        }
    }
}
