package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link EightBitProduct} with the Vector API: a vector of codes becomes one of floats; a scale for
 * each 32.
 */
record VectorEightBitProduct(Workers workers) implements EightBitProduct {
    private static final VectorSpecies<Float> FLOATS = FloatMemory.FLOATS;
    private static final int LANES = FloatMemory.LANES;

    /** As many bytes as floats, or 8, the fewest there are. */
    private static final VectorSpecies<Byte> BYTES =
            LANES > 8 ? ByteVector.SPECIES_128 : ByteVector.SPECIES_64;

    /** Added to a code as an unsigned byte, which makes it 128 larger, gives a float's bits. */
    private static final int MAGIC = 0x4B000000; // 2^23

    private static final float MAGIC_AND_128 = 8388608f + 128f;
    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** Weights of one task, about 2 us of reading. */
    static final int TASK = 1 << 15;

    @Override
    public boolean takes(DType dtype, long rows) {
        return fits(dtype, rows);
    }

    /** What it takes, and so does the same in machine code. */
    static boolean fits(DType dtype, long rows) {
        return rows <= MOST_ROWS && FloatMemory.reads(dtype);
    }

    @Override
    public void multiply(Tensor x, Tensor codes, Tensor scales, Tensor y) {
        int in = Math.toIntExact(codes.size(1));
        int out = Math.toIntExact(codes.size(0));
        int rows = Math.toIntExact(x.count() / in);
        float[] wide = new float[rows * in];
        FloatMemory.of(x).copyRow(0, rows * in, wide);
        if (LANES == 4) {
            layOut(wide);
        }
        MemorySegment packed = codes.segment();
        MemorySegment scale = scales.segment();
        FloatMemory target = FloatMemory.of(y);
        workers.runLines(
                out,
                TASK / in,
                (first, end) -> {
                    for (int line = first; line < end; line++) {
                        long at = (long) line * in;
                        for (int row = 0; row < rows; row++) {
                            float dot = dot(packed, at, scale, wide, row * in, in);
                            target.set((long) row * out + line, dot);
                        }
                    }
                });
    }

    private static float dot(
            MemorySegment codes, long at, MemorySegment scales, float[] x, int from, int in) {
        return switch (LANES) {
            case 16 -> dotOf16(codes, at, scales, x, from, in);
            case 8 -> dotOf8(codes, at, scales, x, from, in);
            default -> dotOf4(codes, at, scales, x, from, in);
        };
    }

    private static float dotOf16(
            MemorySegment codes, long at, MemorySegment scales, float[] x, int from, int in) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int i = 0; i < in; i += BLOCK) {
            FloatVector part = load(codes, at + i).mul(load(x, from + i));
            part = load(codes, at + i + 16).fma(load(x, from + i + 16), part);
            float scale = scales.getAtIndex(FLOAT, (at + i) / BLOCK);
            sum = part.fma(FloatVector.broadcast(FLOATS, scale), sum);
        }
        return FloatMemory.sum(sum);
    }

    private static float dotOf8(
            MemorySegment codes, long at, MemorySegment scales, float[] x, int from, int in) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int i = 0; i < in; i += BLOCK) {
            FloatVector part = load(codes, at + i).mul(load(x, from + i));
            part = load(codes, at + i + 8).fma(load(x, from + i + 8), part);
            part = load(codes, at + i + 16).fma(load(x, from + i + 16), part);
            part = load(codes, at + i + 24).fma(load(x, from + i + 24), part);
            float scale = scales.getAtIndex(FLOAT, (at + i) / BLOCK);
            sum = part.fma(FloatVector.broadcast(FLOATS, scale), sum);
        }
        return FloatMemory.sum(sum);
    }

    /**
     * The product by vectors of 4 floats, without the conversions that some CPUs lack: lane l of a
     * load holds codes 4l to 4l + 3, for which x is laid out.
     */
    private static float dotOf4(
            MemorySegment codes, long at, MemorySegment scales, float[] x, int from, int in) {
        FloatVector sum = FloatVector.zero(FLOATS);
        for (int i = 0; i < in; i += BLOCK) {
            FloatVector part = quarter(codes, at + i, x, from + i);
            part = part.add(quarter(codes, at + i + 16, x, from + i + 16));
            float scale = scales.getAtIndex(FLOAT, (at + i) / BLOCK);
            sum = FloatMemory.fma(part, FloatVector.broadcast(FLOATS, scale), sum);
        }
        return FloatMemory.sum(sum);
    }

    /** Products of 16 codes, each lane's added. */
    private static FloatVector quarter(MemorySegment codes, long at, float[] x, int from) {
        IntVector four =
                IntVector.fromMemorySegment(VectorWidth.INTS, codes, at, LE)
                        .lanewise(VectorOperators.XOR, 0x80808080);
        FloatVector part = floats(four).mul(load(x, from));
        for (int k = 1; k < 4; k++) {
            FloatVector w = floats(four.lanewise(VectorOperators.LSHR, 8 * k));
            part = FloatMemory.fma(w, load(x, from + 4 * k), part);
        }
        return part;
    }

    /** The lowest byte of each lane, less 128. */
    private static FloatVector floats(IntVector codes) {
        return codes.and(0xFF).or(MAGIC).reinterpretAsFloats().sub(MAGIC_AND_128);
    }

    /** x in the order in which vectors of 4 lanes bring the weights: four of a lane apart by 4. */
    private static void layOut(float[] x) {
        float[] sixteen = new float[16];
        for (int i = 0; i < x.length; i += 16) {
            System.arraycopy(x, i, sixteen, 0, 16);
            for (int j = 0; j < 16; j++) {
                x[i + j % 4 * 4 + j / 4] = sixteen[j];
            }
        }
    }

    private static FloatVector load(MemorySegment codes, long at) {
        return (FloatVector)
                ByteVector.fromMemorySegment(BYTES, codes, at, LE)
                        .convertShape(VectorOperators.B2F, FLOATS, 0);
    }

    private static FloatVector load(float[] x, int at) {
        return FloatVector.fromArray(FLOATS, x, at);
    }
}
