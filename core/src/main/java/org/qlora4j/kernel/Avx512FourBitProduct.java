package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.qlora4j.kernel.Avx512Assembler.ROWS;
import static org.qlora4j.kernel.VectorFourBitProduct.GROUP;
import static org.qlora4j.kernel.VectorFourBitProduct.HALF;
import static org.qlora4j.kernel.VectorFourBitProduct.TASK;
import static org.qlora4j.kernel.X86Instructions.Register.R10;
import static org.qlora4j.kernel.X86Instructions.Register.R11;
import static org.qlora4j.kernel.X86Instructions.Register.R12;
import static org.qlora4j.kernel.X86Instructions.Register.R8;
import static org.qlora4j.kernel.X86Instructions.Register.R9;
import static org.qlora4j.kernel.X86Instructions.Register.RAX;
import static org.qlora4j.kernel.X86Instructions.Register.RBP;
import static org.qlora4j.kernel.X86Instructions.Register.RBX;
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
 * {@link FourBitProduct} in machine code for AVX-512, on Linux. It computes what {@link
 * VectorFourBitProduct} does, to the bit. What the Vector API cannot say makes it fast: indices of
 * a lookup without a mask, x at addresses that are multiples of 64, an absmax decoded beside the
 * products it scales, weights asked for ahead, a level used for eight rows while it is in a
 * register.
 */
record Avx512FourBitProduct(Workers workers) implements FourBitProduct {
    /** Codes, constants, x, first half group, sums, lines. */
    private static final FunctionDescriptor LINES =
            FunctionDescriptor.ofVoid(
                    JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG);

    private static final Map<Shape, MethodHandle> CODE = new ConcurrentHashMap<>();

    /** Where things lie in the memory that {@link #constants} fills. */
    private static final int LEVELS_AT = 0;

    private static final int MAP_AT = 64;
    private static final int OFFSET_AT = MAP_AT + MachineLines.MAP_LENGTH * Float.BYTES;
    private static final int ABSMAX_AT = OFFSET_AT + Long.BYTES;
    private static final int NESTED_AT = ABSMAX_AT + Long.BYTES;
    private static final int X_AT = OFFSET_AT + 64;

    /**
     * What the code depends on.
     *
     * @param in input features, a multiple of 64
     * @param rows of x, 1 to 8
     * @param nested whether an absmax is a code itself
     * @param blockShift blocks are of 64 weights, shifted left by this
     */
    record Shape(int in, int rows, boolean nested, int blockShift) {}

    /** Bytes of a row of x with the zeros behind it. */
    private static int rowBytes(int in) {
        return Math.ceilDiv(in, GROUP) * GROUP * Float.BYTES;
    }

    @Override
    public boolean takes(DType dtype, long rows, long in, int blockSize) {
        return rows <= MOST_ROWS && MachineLines.takes(dtype, in, blockSize);
    }

    @Override
    public void multiply(
            Tensor x, Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor y) {
        int in = Math.toIntExact(x.size(-1));
        int out = Math.toIntExact(y.size(-1));
        int rows = Math.toIntExact(x.count() / in);
        MachineLines.requireFit(
                x, codes, scales, blockSize, y, takes(x.dtype(), rows, in, blockSize));
        int blockShift = Integer.numberOfTrailingZeros(blockSize / HALF);
        boolean nested = scales.nestedAbsmax() != null;
        long constants = constants(x, rows, in, scales, table).address();
        long packed = codes.segment().address();
        int rowBytes = rowBytes(in);
        MachineLines.run(
                workers,
                FloatMemory.of(y),
                rows,
                out,
                TASK / in,
                Avx512Assembler.rowsAtOnce(rowBytes),
                (row, count, line, lines, sums) -> {
                    code(new Shape(in, count, nested, blockShift))
                            .invokeExact(
                                    packed + (long) line * in / 2,
                                    constants,
                                    constants + X_AT + (long) row * rowBytes,
                                    (long) line * (in / HALF),
                                    sums,
                                    lines);
                });
    }

    /** Levels, what decodes an absmax, and x in the order of the weights, zeros behind each row. */
    private static MemorySegment constants(
            Tensor x, int rows, int in, BlockScales scales, CodeTable table) {
        float[] laid =
                VectorFourBitProduct.layOut(FloatMemory.of(x), rows, in, Math.ceilDiv(in, GROUP));
        MemorySegment room = NativeScratch.of(X_AT + (long) laid.length * Float.BYTES);
        MemorySegment.copy(table.levels(), 0, room, JAVA_FLOAT, LEVELS_AT, 16);
        MemorySegment.copy(scales.map(), 0, room, JAVA_FLOAT, MAP_AT, scales.map().length);
        room.set(JAVA_FLOAT, OFFSET_AT, scales.offset());
        room.set(JAVA_LONG, ABSMAX_AT, scales.absmax().segment().address());
        Tensor nested = scales.nestedAbsmax();
        room.set(JAVA_LONG, NESTED_AT, nested == null ? 0 : nested.segment().address());
        MemorySegment.copy(laid, 0, room, JAVA_FLOAT, X_AT, laid.length);
        return room;
    }

    private static MethodHandle code(Shape shape) {
        return CODE.computeIfAbsent(shape, s -> MachineCode.load(assemble(s), LINES));
    }

    // ---- the code

    // vectors
    private static final int LEVELS = 0;
    private static final int OFFSET = 1;
    private static final int CODES = 2;
    private static final int LEVEL = 3;
    private static final int SCALE = 4;
    private static final int NESTED = 5;

    /**
     * Three registers for each row of x: even and odd products of a group, and the sum of its line.
     */
    private static final int EVEN = 6;

    private static final int ODD = EVEN + ROWS;
    private static final int SUM = ODD + ROWS;

    /** Lanes 8 … 15 hold the second half of a group. */
    private static final int UPPER = 1;

    // arguments, as the calling convention hands them over
    private static final Register NEXT_CODES = RDI;
    private static final Register CONSTANT = RSI;
    private static final Register X_OF_LINE = RDX;
    private static final Register NEXT_HALF = RCX;
    private static final Register SUMS = R8;
    private static final Register LINES_LEFT = R9;

    private static final Register NESTED_ABSMAX = R10;
    private static final Register GROUPS_LEFT = R11;
    private static final Register X = RAX;

    // whose values the caller wants back
    private static final Register BLOCK = RBX;
    private static final Register CODE_OF_ABSMAX = RBP;
    private static final Register ABSMAX = R12;

    /** Sums of neighbouring lines of W, each of all rows of x. */
    static byte[] assemble(Shape shape) {
        var a = new Avx512Assembler();
        a.push(BLOCK);
        a.push(CODE_OF_ABSMAX);
        a.push(ABSMAX);
        a.mov(RAX, 0xFF00);
        a.kmovw(UPPER, RAX);
        a.vmovups(LEVELS, new Memory(CONSTANT, LEVELS_AT));
        a.vbroadcastss(OFFSET, 0, new Memory(CONSTANT, OFFSET_AT));
        a.mov(ABSMAX, new Memory(CONSTANT, ABSMAX_AT));
        a.mov(NESTED_ABSMAX, new Memory(CONSTANT, NESTED_AT));
        int line = a.here();
        a.clear(SUM, shape.rows);
        a.mov(X, X_OF_LINE);
        a.mov(GROUPS_LEFT, shape.in / GROUP);
        int group = a.here();
        a.vmovdqu32(CODES, new Memory(NEXT_CODES, 0));
        a.prefetchnta(new Memory(NEXT_CODES, MachineLines.AHEAD));
        scale(a, shape, 0);
        scale(a, shape, 1);
        addProducts(a, shape);
        a.add(NEXT_CODES, GROUP / 2);
        a.add(NEXT_HALF, 2);
        a.add(X, GROUP * Float.BYTES);
        a.dec(GROUPS_LEFT);
        a.jnz(group);
        if (shape.in % GROUP != 0) { // then zeros follow x
            a.vmovdqu(CODES, new Memory(NEXT_CODES, 0));
            scale(a, shape, 0);
            addProducts(a, shape);
            a.add(NEXT_CODES, HALF / 2);
            a.add(NEXT_HALF, 1);
        }
        a.appendSums(SUMS, SUM, EVEN, shape.rows);
        a.dec(LINES_LEFT);
        a.jnz(line);
        a.vzeroupper();
        a.pop(ABSMAX);
        a.pop(CODE_OF_ABSMAX);
        a.pop(BLOCK);
        a.ret();
        return a.code();
    }

    /**
     * Absmax of a half group.
     *
     * @param which the first, which all lanes get, or the second, which the upper then get
     */
    private static void scale(Avx512Assembler a, Shape shape, int which) {
        int mask = which == 0 ? 0 : UPPER;
        a.lea(BLOCK, new Memory(NEXT_HALF, which));
        if (shape.blockShift > 0) {
            a.shr(BLOCK, shape.blockShift);
        }
        if (!shape.nested) {
            a.vbroadcastss(SCALE, mask, new Memory(ABSMAX, BLOCK, Float.BYTES, 0));
            return;
        }
        a.movzx(CODE_OF_ABSMAX, new Memory(ABSMAX, BLOCK, 1, 0));
        a.vbroadcastss(SCALE, mask, new Memory(CONSTANT, CODE_OF_ABSMAX, Float.BYTES, MAP_AT));
        a.shr(BLOCK, Integer.numberOfTrailingZeros(BlockScales.NESTED_BLOCK));
        a.vbroadcastss(NESTED, mask, new Memory(NESTED_ABSMAX, BLOCK, Float.BYTES, 0));
    }

    /** Eight lookups and their products; then those of a row, scaled, to the sum of its line. */
    private static void addProducts(Avx512Assembler a, Shape shape) {
        if (shape.nested) {
            a.vmulps(SCALE, SCALE, NESTED);
            a.vaddps(SCALE, SCALE, OFFSET);
        }
        for (int k = 0; k < 8; k++) {
            if (k == 0) {
                a.vpermps(LEVEL, CODES, LEVELS);
            } else {
                a.vpsrld(LEVEL, CODES, 4 * k);
                a.vpermps(LEVEL, LEVEL, LEVELS);
            }
            for (int row = 0; row < shape.rows; row++) {
                Memory x = new Memory(X, row * rowBytes(shape.in) + 64 * k);
                int part = row + (k % 2 == 0 ? EVEN : ODD);
                if (k < 2) {
                    a.vmulps(part, LEVEL, x);
                } else {
                    a.vfmadd231ps(part, LEVEL, x);
                }
            }
        }
        for (int row = 0; row < shape.rows; row++) {
            a.vaddps(EVEN + row, EVEN + row, ODD + row);
            a.vfmadd231ps(SUM + row, EVEN + row, SCALE);
        }
    }
}
