package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.qlora4j.kernel.VectorEightBitProduct.TASK;
import static org.qlora4j.kernel.X86Instructions.Register.R8;
import static org.qlora4j.kernel.X86Instructions.Register.R9;
import static org.qlora4j.kernel.X86Instructions.Register.RAX;
import static org.qlora4j.kernel.X86Instructions.Register.RCX;
import static org.qlora4j.kernel.X86Instructions.Register.RDI;
import static org.qlora4j.kernel.X86Instructions.Register.RDX;
import static org.qlora4j.kernel.X86Instructions.Register.RSI;

import java.lang.foreign.FunctionDescriptor;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.qlora4j.kernel.X86Instructions.Memory;
import org.qlora4j.kernel.X86Instructions.Register;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link EightBitProduct} in machine code for AVX-512, on Linux. It computes what {@link
 * VectorEightBitProduct} does, to the bit, but reads a weight once for up to eight rows of x.
 */
record Avx512EightBitProduct(Workers workers) implements EightBitProduct {
    /** Codes, scales, x, sums, lines. */
    private static final FunctionDescriptor LINES =
            FunctionDescriptor.ofVoid(JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG);

    private static final Map<Shape, MethodHandle> CODE = new ConcurrentHashMap<>();

    /**
     * What the code depends on.
     *
     * @param in input features, a multiple of 32
     * @param rows of x, 1 to 8
     */
    record Shape(int in, int rows) {}

    @Override
    public boolean takes(DType dtype, long rows) {
        return VectorEightBitProduct.fits(dtype, rows);
    }

    @Override
    public void multiply(Tensor x, Tensor codes, Tensor scales, Tensor y) {
        int in = Math.toIntExact(codes.size(1));
        int out = Math.toIntExact(codes.size(0));
        int rows = Math.toIntExact(x.count() / in);
        MachineLines.requireFit(x, codes, scales, y, takes(x.dtype(), rows));
        long wide = MachineLines.widened(x, rows * in).address();
        long packed = codes.segment().address();
        long scale = scales.segment().address();
        int rowBytes = rowBytes(in);
        MachineLines.run(
                workers,
                FloatMemory.of(y),
                rows,
                out,
                TASK / in,
                Avx512Assembler.rowsAtOnce(rowBytes),
                (row, count, line, lines, sums) -> {
                    code(new Shape(in, count))
                            .invokeExact(
                                    packed + (long) line * in,
                                    scale + (long) line * (in / BLOCK) * Float.BYTES,
                                    wide + (long) row * rowBytes,
                                    sums,
                                    lines);
                });
    }

    private static int rowBytes(int in) {
        return in * Float.BYTES;
    }

    private static MethodHandle code(Shape shape) {
        return CODE.computeIfAbsent(shape, s -> MachineCode.load(assemble(s), LINES));
    }

    // ---- the code

    // vectors
    private static final int SCALE = 0;
    private static final int FIRST = 1;
    private static final int SECOND = 2;

    /** Two registers for each row of x: products of a block, and the sum of its line. */
    private static final int PART = 3;

    private static final int SUM = PART + Avx512Assembler.ROWS;

    // arguments, as the calling convention hands them over
    private static final Register NEXT_CODES = RDI;
    private static final Register NEXT_SCALES = RSI;
    private static final Register X_OF_LINE = RDX;
    private static final Register SUMS = RCX;
    private static final Register LINES_LEFT = R8;

    private static final Register X = RAX;
    private static final Register TURNS_LEFT = R9;

    /** Sums of neighbouring lines of W, each of all rows of x. */
    static byte[] assemble(Shape shape) {
        int blocks = shape.in / BLOCK;
        int unrolled = blocks % 4 == 0 ? 4 : blocks % 2 == 0 ? 2 : 1;
        var a = new Avx512Assembler(false);
        int line = a.here();
        a.clear(SUM, shape.rows);
        a.mov(X, X_OF_LINE);
        a.mov(TURNS_LEFT, blocks / unrolled);
        int turn = a.here();
        for (int block = 0; block < unrolled; block++) {
            if (block % 2 == 0) { // a cache line
                a.prefetchnta(new Memory(NEXT_CODES, MachineLines.AHEAD + block * BLOCK));
            }
            addBlock(a, shape, block);
        }
        a.add(NEXT_CODES, unrolled * BLOCK);
        a.add(NEXT_SCALES, unrolled * Float.BYTES);
        a.add(X, unrolled * BLOCK * Float.BYTES);
        a.dec(TURNS_LEFT);
        a.jnz(turn);
        a.appendSums(SUMS, SUM, PART, shape.rows);
        a.dec(LINES_LEFT);
        a.jnz(line);
        a.vzeroupper();
        a.ret();
        return a.code();
    }

    private static void addBlock(Avx512Assembler a, Shape shape, int block) {
        a.vpmovsxbd(FIRST, new Memory(NEXT_CODES, block * BLOCK));
        a.vcvtdq2ps(FIRST, FIRST);
        a.vpmovsxbd(SECOND, new Memory(NEXT_CODES, block * BLOCK + 16));
        a.vcvtdq2ps(SECOND, SECOND);
        a.vbroadcastss(SCALE, 0, new Memory(NEXT_SCALES, block * Float.BYTES));
        for (int row = 0; row < shape.rows; row++) {
            int at = row * rowBytes(shape.in) + block * BLOCK * Float.BYTES;
            a.vmulps(PART + row, FIRST, new Memory(X, at));
            a.vfmadd231ps(PART + row, SECOND, new Memory(X, at + 64));
            a.vfmadd231ps(SUM + row, PART + row, SCALE);
        }
    }
}
