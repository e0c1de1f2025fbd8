package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.qlora4j.kernel.X86Instructions.Register.R8;
import static org.qlora4j.kernel.X86Instructions.Register.RAX;
import static org.qlora4j.kernel.X86Instructions.Register.RCX;
import static org.qlora4j.kernel.X86Instructions.Register.RDI;
import static org.qlora4j.kernel.X86Instructions.Register.RDX;
import static org.qlora4j.kernel.X86Instructions.Register.RSI;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.qlora4j.kernel.X86Instructions.Memory;
import org.qlora4j.kernel.X86Instructions.Register;

/**
 * Products of eight lines of a weight in f32 with one x, in machine code for AVX2. Where lines are
 * short, to add up the lanes of a vector takes longer than its products: eight such vectors are
 * turned, and added as one.
 */
final class Avx2Dots {
    /** W, x, sums, blocks of eight lines. */
    private static final FunctionDescriptor LINES =
            FunctionDescriptor.ofVoid(JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG);

    private static final Map<Integer, MethodHandle> CODE = new ConcurrentHashMap<>();

    private static final int LANES = 8;
    private static final int VECTOR = LANES * Float.BYTES;

    /** The first of eight vectors of sums; those below are free. */
    private static final int SUM = 8;

    // arguments, as the calling convention hands them over
    private static final Register W = RDI;
    private static final Register X = RSI;
    private static final Register SUMS = RDX;
    private static final Register BLOCKS_LEFT = RCX;

    private static final Register NEXT_X = RAX;
    private static final Register VECTORS_LEFT = R8;

    private Avx2Dots() {}

    /** Whether it takes such lines. */
    static boolean takes(FloatMemory w, int in) {
        return !w.bf16() && in % LANES == 0;
    }

    /**
     * As the vectors of {@link VectorDenseProduct} do, to the bit.
     *
     * @param at first weight
     * @param x its first {@code in} values count
     * @param into written: a sum for each line
     * @return lines that were done, a multiple of eight
     */
    static int multiply(FloatMemory w, long at, int lines, MemorySegment x, int in, float[] into) {
        int blocks = lines / LANES;
        if (blocks == 0) {
            return 0;
        }
        MemorySegment weights =
                w.memory().asSlice(at * Float.BYTES, (long) blocks * LANES * in * Float.BYTES);
        MachineLines.call(() -> {
            CODE.computeIfAbsent(in, n -> MachineCode.load(assemble(n), LINES))
                    .invokeExact(weights.address(), x, MemorySegment.ofArray(into), (long) blocks);
        });
        return blocks * LANES;
    }

    private static byte[] assemble(int in) {
        var a = new Avx2Assembler();
        int block = a.here();
        a.clear(SUM, LANES);
        a.mov(NEXT_X, X);
        a.mov(VECTORS_LEFT, in / LANES);
        int next = a.here();
        a.vmovups(0, new Memory(NEXT_X, 0));
        for (int line = 0; line < LANES; line++) {
            a.vfmadd231ps(SUM + line, 0, new Memory(W, line * in * Float.BYTES));
        }
        a.add(NEXT_X, VECTOR);
        a.add(W, VECTOR);
        a.dec(VECTORS_LEFT);
        a.jnz(next);
        a.turn(SUM);
        for (int by = LANES / 2; by > 0; by /= 2) { // in the order of FloatMemory.sum
            for (int lane = 0; lane < by; lane++) {
                a.vaddps(lane, lane, lane + by);
            }
        }
        a.vmovups(new Memory(SUMS, 0), 0);
        a.add(SUMS, VECTOR);
        a.add(W, (LANES - 1) * in * Float.BYTES);
        a.dec(BLOCKS_LEFT);
        a.jnz(block);
        a.vzeroupper();
        a.ret();
        return a.code();
    }
}
