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
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.qlora4j.kernel.X86Instructions.Memory;
import org.qlora4j.kernel.X86Instructions.Register;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * Products of the second factor of LoRA with up to four rows, in machine code for AVX2. B [out,
 * rank] has lines of a few vectors alone, and to add up the lanes of a vector takes longer than its
 * products. So eight lines are turned in registers, once for all rows, and a row's eight outputs
 * are the sum of columns, added in their order whatever the rows.
 */
final class Avx2Updates {
    /** B, down, sums, blocks of eight lines. */
    private static final FunctionDescriptor BLOCKS =
            FunctionDescriptor.ofVoid(JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG);

    private static final Map<Shape, MethodHandle> CODE = new ConcurrentHashMap<>();

    private static final int LANES = 8;
    private static final int VECTOR = LANES * Float.BYTES;

    /** Most rows at once. */
    static final int ROWS = 4;

    // arguments, as the calling convention hands them over
    private static final Register B = RDI;
    private static final Register DOWN = RSI;
    private static final Register SUMS = RDX;
    private static final Register BLOCKS_LEFT = RCX;

    private static final Register LINE = R8;

    /** What the code depends on. */
    private record Shape(int rank, int rows, int lines) {}

    private Avx2Updates() {}

    /** Whether it takes such factors, A [rank, in] and B [out, rank]. */
    static boolean takes(Tensor a, Tensor b) {
        return a.dtype() == DType.F32
                && b.dtype() == DType.F32
                && a.size(1) % LANES == 0
                && b.size(1) % LANES == 0
                && b.size(0) % LANES == 0;
    }

    /**
     * Products of neighbouring lines of B with each row.
     *
     * @param first line of B
     * @param lines a multiple of 8
     * @param down [rows, rank], rows 1 to 4
     * @param sums written: [rows, lines]
     */
    static void multiply(
            FloatMemory b, int first, int lines, float[] down, int rows, int rank, float[] sums) {
        MemorySegment part = b.part((long) first * rank, (long) lines * rank);
        MachineLines.call(() -> {
            CODE.computeIfAbsent(
                            new Shape(rank, rows, lines),
                            shape -> MachineCode.load(assemble(shape), BLOCKS))
                    .invokeExact(
                            part.address(),
                            MemorySegment.ofArray(down),
                            MemorySegment.ofArray(sums),
                            (long) (lines / LANES));
        });
    }

    private static byte[] assemble(Shape shape) {
        int lineBytes = shape.rank * Float.BYTES;
        var a = new Avx2Assembler();
        int block = a.here();
        a.mov(LINE, B);
        for (int column = 0; column < shape.rank; column += LANES) {
            for (int line = 0; line < LANES; line++) {
                a.vmovups(LANES + line, new Memory(LINE, line * lineBytes));
            }
            a.turn(LANES);
            for (int row = 0; row < shape.rows; row++) {
                addColumns(a, shape, row, column);
            }
            a.add(LINE, VECTOR);
        }
        a.add(B, LANES * lineBytes);
        a.add(SUMS, VECTOR);
        a.dec(BLOCKS_LEFT);
        a.jnz(block);
        a.vzeroupper();
        a.ret();
        return a.code();
    }

    /** Eight columns, in the lower registers, times a row's elements, to its sums. */
    private static void addColumns(Avx2Assembler a, Shape shape, int row, int column) {
        int sum = LANES + row;
        Memory sums = new Memory(SUMS, row * shape.lines * Float.BYTES);
        for (int i = 0; i < LANES; i++) {
            int factor = LANES + ROWS + i % (LANES - ROWS);
            int element = row * shape.rank + column + i;
            a.vbroadcastss(factor, new Memory(DOWN, element * Float.BYTES));
            if (i == 0 && column == 0) {
                a.vmulps(sum, factor, i);
                continue;
            }
            if (i == 0) {
                a.vmovups(sum, sums);
            }
            a.vfmadd231ps(sum, factor, i);
        }
        a.vmovups(sums, sum);
    }
}
