package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.qlora4j.kernel.X86Instructions.Register.R8;
import static org.qlora4j.kernel.X86Instructions.Register.RCX;
import static org.qlora4j.kernel.X86Instructions.Register.RDI;
import static org.qlora4j.kernel.X86Instructions.Register.RDX;
import static org.qlora4j.kernel.X86Instructions.Register.RSI;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import org.qlora4j.kernel.X86Instructions.Memory;
import org.qlora4j.kernel.X86Instructions.Register;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link FourBit} whose decoding to f32 is machine code for AVX2, on Linux: shuffles of bytes look
 * up 32 codes at once, as in {@link Avx2FourBitProduct}. The rest is {@link PairFourBit}'s.
 */
record Avx2FourBit(Workers workers, PairFourBit portable) implements FourBit {
    /** Weights of a load. */
    private static final int GROUP = 64;

    /** Elements of one task: a multiple of every block size. */
    private static final int TASK = 1 << 16;

    private static final int PLANES = Float.BYTES;
    private static final int VECTOR = 32;
    private static final int LOW_HALVES_AT = PLANES * VECTOR;

    @Override
    public void quantize(
            Tensor values, CodeTable table, int blockSize, Tensor codes, Tensor absmax) {
        portable.quantize(values, table, blockSize, codes, absmax);
    }

    @Override
    public void dequantize(
            Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor out) {
        long n = out.count();
        boolean whole = n % blockSize == 0 && blockSize % GROUP == 0 && TASK % blockSize == 0;
        if (!whole || out.dtype() != DType.F32) {
            portable.dequantize(codes, scales, table, blockSize, out);
            return;
        }
        MemorySegment packed = codes.segment();
        MemorySegment target = out.segment();
        MemorySegment tables = MemorySegment.ofArray(tables(table));
        AbsmaxRuns absmax = AbsmaxRuns.of(scales, blockSize / GROUP);
        workers.run(
                Math.toIntExact(Math.ceilDiv(n, TASK)),
                task -> {
                    long start = (long) task * TASK;
                    int length = (int) Math.min(TASK, n - start);
                    int groups = length / GROUP;
                    float[] each = FloatMemory.scratch(groups);
                    absmax.decode(start / GROUP, groups, each);
                    long from = packed.asSlice(start / 2, length / 2).address();
                    long to = target.asSlice(start * 4, length * 4L).address();
                    MemorySegment factors = MemorySegment.ofArray(each);
                    MachineLines.call(() -> {
                        Code.HANDLE.invokeExact(from, to, factors, tables, (long) groups);
                    });
                });
    }

    /** The bytes of the levels by plane, twice for both halves of a vector, and masks. */
    private static byte[] tables(CodeTable table) {
        byte[] out = new byte[LOW_HALVES_AT + VECTOR];
        for (int i = 0; i < VECTOR; i++) {
            int level = Float.floatToRawIntBits(table.levels()[i % 16]);
            for (int plane = 0; plane < PLANES; plane++) {
                out[plane * VECTOR + i] = (byte) (level >> 8 * plane);
            }
            out[LOW_HALVES_AT + i] = 15;
        }
        return out;
    }

    /** The code, made when it is first called. */
    private static final class Code {
        // arguments, as the calling convention hands them over
        private static final Register CODES = RDI;
        private static final Register OUT = RSI;
        private static final Register SCALES = RDX;
        private static final Register TABLES = RCX;
        private static final Register GROUPS_LEFT = R8;

        // vectors: tables, then what is free for the results; looked-up bytes of high and low codes
        private static final int PLANE = 0;
        private static final int HIGH = 4;
        private static final int LOW = 8;
        private static final int SCALE = 12;
        private static final int JOINED_HIGH = 13;
        private static final int JOINED_LOW = 14;

        static final MethodHandle HANDLE =
                MachineCode.load(
                        assemble(),
                        FunctionDescriptor.ofVoid(
                                JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG));

        private static byte[] assemble() {
            var a = new Avx2Assembler();
            Memory mask = new Memory(TABLES, LOW_HALVES_AT);
            int group = a.here();
            for (int plane = 0; plane < PLANES; plane++) {
                a.vmovups(PLANE + plane, new Memory(TABLES, plane * VECTOR));
            }
            a.vbroadcastss(SCALE, new Memory(SCALES, 0));
            a.vmovups(JOINED_LOW, new Memory(CODES, 0));
            a.vpsrlw(JOINED_HIGH, JOINED_LOW, 4);
            a.vpand(HIGH + 3, JOINED_HIGH, mask);
            a.vpand(LOW + 3, JOINED_LOW, mask);
            join(a, HIGH, JOINED_HIGH);
            join(a, LOW, JOINED_LOW);
            for (int vector = 0; vector < 4; vector++) {
                widen(a, HIGH, JOINED_HIGH, vector);
                widen(a, LOW, JOINED_LOW, vector);
                a.vunpcklps(0, HIGH + 3, LOW + 3); // high and low in turns, as they lie
                a.vunpckhps(1, HIGH + 3, LOW + 3);
                for (int half = 0; half < 2; half++) {
                    a.vperm2f128(2, 0, 1, half == 0 ? 0x20 : 0x31);
                    a.vmulps(2, 2, SCALE);
                    a.vmovups(new Memory(OUT, half * GROUP / 2 * Float.BYTES + vector * VECTOR), 2);
                }
            }
            a.add(CODES, GROUP / 2);
            a.add(OUT, GROUP * Float.BYTES);
            a.add(SCALES, Float.BYTES);
            a.dec(GROUPS_LEFT);
            a.jnz(group);
            a.vzeroupper();
            a.ret();
            return a.code();
        }

        /** Looks up the codes in the last of four registers, and joins two bytes of each level. */
        private static void join(Avx2Assembler a, int bytes, int joined) {
            for (int plane = 0; plane < PLANES; plane++) {
                a.vpshufb(bytes + plane, PLANE + plane, bytes + 3);
            }
            a.vpunpcklbw(joined, bytes, bytes + 1);
            a.vpunpckhbw(bytes, bytes, bytes + 1);
            a.vpunpcklbw(bytes + 1, bytes + 2, bytes + 3);
            a.vpunpckhbw(bytes + 2, bytes + 2, bytes + 3);
        }

        /** Four levels of each half, to the last of the four registers. */
        private static void widen(Avx2Assembler a, int bytes, int joined, int vector) {
            int lower = vector < 2 ? joined : bytes;
            int upper = vector < 2 ? bytes + 1 : bytes + 2;
            if (vector % 2 == 0) {
                a.vpunpcklwd(bytes + 3, lower, upper);
            } else {
                a.vpunpckhwd(bytes + 3, lower, upper);
            }
        }
    }
}
