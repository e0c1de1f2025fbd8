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
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.qlora4j.kernel.X86Instructions.Memory;
import org.qlora4j.kernel.X86Instructions.Register;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link EightBitProduct} in machine code for AVX2, on Linux. It computes what {@link
 * VectorEightBitProduct} does with vectors of 8 floats, to the bit, but reads a weight once for up
 * to four rows of x.
 */
record Avx2EightBitProduct(Workers workers) implements EightBitProduct {
    /** Codes, scales, x, sums, lines. */
    private static final FunctionDescriptor LINES =
            FunctionDescriptor.ofVoid(JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG);

    private static final Map<Shape, MethodHandle> CODE = new ConcurrentHashMap<>();

    /** Most rows of x at once, so that what belongs to each stays in registers. */
    private static final int ROWS = 4;

    /**
     * What the code depends on.
     *
     * @param vectorBytes of the vectors that it is written with
     * @param in input features, a multiple of 32
     * @param rows of x, 1 to 4
     */
    record Shape(int vectorBytes, int in, int rows) {}

    @Override
    public boolean takes(DType dtype, long rows) {
        return VectorEightBitProduct.fits(dtype, rows);
    }

    @Override
    public void multiply(Tensor x, Tensor codes, Tensor scales, Tensor y) {
        multiply(workers, X86Vectors.AVX2, x, codes, scales, y);
    }

    /** The product by vectors of so many bytes. */
    static void multiply(
            Workers workers, int vectorBytes, Tensor x, Tensor codes, Tensor scales, Tensor y) {
        int in = Math.toIntExact(codes.size(1));
        int out = Math.toIntExact(codes.size(0));
        int rows = Math.toIntExact(x.count() / in);
        MachineLines.requireFit(x, codes, scales, y, VectorEightBitProduct.fits(x.dtype(), rows));
        MemorySegment wide = MachineLines.widened(x, rows * in);
        long packed = codes.segment().address();
        long scale = scales.segment().address();
        long rowBytes = (long) in * Float.BYTES;
        MachineLines.run(
                workers,
                FloatMemory.of(y),
                rows,
                out,
                TASK / in,
                ROWS,
                (row, count, line, lines, sums) -> {
                    code(new Shape(vectorBytes, in, count))
                            .invokeExact(
                                    packed + (long) line * in,
                                    scale + (long) line * (in / BLOCK) * Float.BYTES,
                                    wide.address() + row * rowBytes,
                                    sums,
                                    lines);
                });
    }

    private static MethodHandle code(Shape shape) {
        return CODE.computeIfAbsent(shape, s -> MachineCode.load(assemble(s), LINES));
    }

    // ---- the code

    // vectors
    private static final int SCALE = SseAssembler.SPARE + 1;

    private static final int WEIGHTS = SCALE + 1;

    /** For each row of x, a register for the sum of its line. */
    private static final int SUM = WEIGHTS + 1;

    /** And for the products of each chain of a block. */
    private static final int PART = SUM + ROWS;

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
        int unrolled = blocks % 2 == 0 ? 2 : 1;
        X86Vectors a = X86Vectors.of(shape.vectorBytes);
        int line = a.here();
        a.clear(SUM, shape.rows);
        a.mov(X, X_OF_LINE);
        a.mov(TURNS_LEFT, blocks / unrolled);
        int turn = a.here();
        a.prefetchnta(new Memory(NEXT_CODES, MachineLines.AHEAD)); // a cache line, if two blocks
        for (int block = 0; block < unrolled; block++) {
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

    private static void addBlock(X86Vectors a, Shape shape, int block) {
        a.vbroadcastss(SCALE, new Memory(NEXT_SCALES, block * Float.BYTES));
        for (int i = 0; i < BLOCK / a.lanes(); i++) {
            int at = block * BLOCK + i * a.lanes();
            a.vpmovsxbd(WEIGHTS, new Memory(NEXT_CODES, at));
            a.vcvtdq2ps(WEIGHTS, WEIGHTS);
            for (int row = 0; row < shape.rows; row++) {
                Memory x = new Memory(X, (row * shape.in + at) * Float.BYTES);
                boolean last = row == shape.rows - 1;
                a.addProduct(i, PART + row * a.chains(), WEIGHTS, x, last);
            }
        }
        for (int row = 0; row < shape.rows; row++) {
            a.addChains(SUM + row, PART + row * a.chains(), SCALE);
        }
    }
}
