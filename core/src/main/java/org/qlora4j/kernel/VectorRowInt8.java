package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.concurrent.atomic.AtomicBoolean;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import org.qlora4j.tensor.Tensor;

/** {@link RowInt8} with the Vector API, to the bit as its reference. */
record VectorRowInt8(Workers workers, RowInt8 reference) implements RowInt8 {
    private static final VectorSpecies<Float> FLOATS = FloatMemory.FLOATS;
    private static final int LANES = FloatMemory.LANES;
    private static final VectorSpecies<Byte> BYTES =
            LANES > 8 ? ByteVector.SPECIES_128 : ByteVector.SPECIES_64;
    private static final ByteOrder LE = ByteOrder.LITTLE_ENDIAN;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** Added and taken away again it rounds a small float to the nearest integer, ties to even. */
    private static final float ROUNDING = 12582912f;

    private static final float A_127TH = (float) (1 / 127.0);

    /** Values of one task. */
    private static final int TASK = 1 << 14;

    @Override
    public void round(Tensor x, double threshold, Tensor out) {
        if (!FloatMemory.reads(x.dtype())) {
            reference.round(x, threshold, out);
            return;
        }
        int n = Math.toIntExact(x.size(1));
        int rows = Math.toIntExact(x.size(0));
        FloatMemory in = FloatMemory.of(x);
        FloatMemory to = FloatMemory.of(out);
        float[] largest = new float[rows];
        float[] columns = new float[n]; // 1 where there is an outlier; all write the same
        AtomicBoolean any = new AtomicBoolean();
        float least = threshold > 0 ? (float) threshold : Float.POSITIVE_INFINITY;
        int fewest = Math.max(1, TASK / n);
        workers.runLines(
                rows,
                fewest,
                (first, end) -> {
                    for (int row = first; row < end; row++) {
                        float[] values = FloatMemory.scratch(n);
                        in.copyRow((long) row * n, n, values);
                        float most = half(FloatMemory.absmax(values, n));
                        if (most >= least) {
                            most = markOutliers(values, n, least, columns);
                            any.set(true);
                        }
                        largest[row] = most == 0 ? 127 : most;
                    }
                });
        boolean outliers = any.get();
        workers.runLines(
                rows,
                fewest,
                (first, end) -> {
                    for (int row = first; row < end; row++) {
                        roundRow(in, to, (long) row * n, n, largest[row], outliers, columns);
                    }
                });
    }

    /** The largest magnitude of a row but its outliers. */
    private static float markOutliers(float[] values, int n, float least, float[] columns) {
        float most = 0;
        for (int i = 0; i < n; i++) {
            float magnitude = half(Math.abs(values[i]));
            if (magnitude >= least) {
                columns[i] = 1;
            } else {
                most = Math.max(most, magnitude);
            }
        }
        return most;
    }

    private static void roundRow(
            FloatMemory in,
            FloatMemory out,
            long start,
            int n,
            float largest,
            boolean outliers,
            float[] columns) {
        float up = 1 / largest * 127f;
        float down = largest * A_127TH;
        int i = 0;
        for (; i <= n - LANES; i += LANES) {
            FloatVector x = in.load(start + i);
            FloatVector y = half(x).mul(up).add(ROUNDING).sub(ROUNDING).mul(down);
            if (outliers) {
                FloatVector kept = FloatVector.fromArray(FLOATS, columns, i);
                y = y.blend(x, kept.compare(VectorOperators.NE, 0f));
            }
            out.store(y, start + i);
        }
        for (; i < n; i++) {
            float x = in.get(start + i);
            boolean kept = outliers && columns[i] != 0;
            out.set(start + i, kept ? x : (half(x) * up + ROUNDING - ROUNDING) * down);
        }
    }

    /** The values with the mantissa of f16, to nearest, ties to even. */
    private static FloatVector half(FloatVector values) {
        IntVector bits = values.reinterpretAsInts();
        IntVector odd = bits.lanewise(VectorOperators.LSHR, 13).and(1);
        return bits.add(odd).add(0xFFF).and(0xFFFFE000).reinterpretAsFloats();
    }

    /** As {@link #half(FloatVector)}. */
    private static float half(float value) {
        int bits = Float.floatToRawIntBits(value);
        return Float.intBitsToFloat(bits + 0xFFF + (bits >>> 13 & 1) & 0xFFFFE000);
    }

    @Override
    public void decode(Tensor codes, Tensor scales, Tensor out) {
        if (!FloatMemory.reads(out.dtype())) {
            reference.decode(codes, scales, out);
            return;
        }
        int n = Math.toIntExact(codes.size(1));
        MemorySegment packed = codes.segment();
        MemorySegment each = scales.segment();
        FloatMemory to = FloatMemory.of(out);
        workers.runLines(
                Math.toIntExact(codes.size(0)),
                Math.max(1, TASK / n),
                (first, end) -> {
                    for (int line = first; line < end; line++) {
                        float scale = each.getAtIndex(FLOAT, line) * A_127TH;
                        decodeLine(packed, to, (long) line * n, n, scale);
                    }
                });
    }

    private static void decodeLine(
            MemorySegment codes, FloatMemory out, long start, int n, float scale) {
        int i = 0;
        if (VectorWidth.WHOLE) {
            int step = Math.max(LANES, BYTES.length()); // bytes of a load
            for (; i <= n - step; i += step) {
                ByteVector bytes = ByteVector.fromMemorySegment(BYTES, codes, start + i, LE);
                for (int part = 0; part < step / LANES; part++) {
                    IntVector ints =
                            (IntVector)
                                    bytes.convertShape(VectorOperators.B2I, VectorWidth.INTS, part);
                    FloatVector y = (FloatVector) ints.convertShape(VectorOperators.I2F, FLOATS, 0);
                    out.store(y.mul(scale), start + i + (long) part * LANES);
                }
            }
        }
        for (; i < n; i++) {
            out.set(start + i, codes.get(ValueLayout.JAVA_BYTE, start + i) * scale);
        }
    }
}
