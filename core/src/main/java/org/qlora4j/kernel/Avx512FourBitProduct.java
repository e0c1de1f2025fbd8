package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.qlora4j.kernel.Avx512Assembler.ROWS;
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
 * {@link FourBitProduct} in machine code for AVX-512, on Linux, by {@link WholeRows}. A table of 16
 * bits a lane, which has the levels twice, looks up 32 codes by the low 5 bits of each lane, the
 * next 32 after a shift by 4. The sum of a group's 64 products is exact; it becomes a float, which
 * the scales of the weights and of x multiply. Many rows go to {@link WholeTiles}.
 *
 * @param vnni whether the CPU adds products by one instruction
 */
record Avx512FourBitProduct(Workers workers, boolean vnni) implements FourBitProduct {
    /** Codes, constants, x, first group, sums, lines. */
    private static final FunctionDescriptor LINES =
            FunctionDescriptor.ofVoid(
                    JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG);

    private static final Map<Shape, MethodHandle> CODE = new ConcurrentHashMap<>();

    private static final int GROUP = WholeRows.GROUP;

    /** Bytes of the codes of a load, of two groups. */
    private static final int LOAD = 64;

    /** Groups whose sums stand in one vector: group i adds to the first lane of quarter i % 4. */
    private static final int BATCH = 4;

    /** Bytes of a batch of x: its numbers, and its units in the first lanes of quarters. */
    private static final int BATCH_BYTES = BATCH * GROUP * Short.BYTES + LOAD;

    /** Which of four elements stands where in the four vectors of a load. */
    private static final int[] ORDER = {1, 0, 3, 2};

    /** Rows beyond which libtorch's product in bf16 is faster; in f32 it never is. */
    private static final int MOST_ROWS_OF_BF16 = 64;

    /** Rows from which on {@link WholeTiles} are faster. */
    private static final int MANY_ROWS = 9;

    /** Where things lie in the memory that {@link #constants} fills. */
    private static final int LEVELS_AT = 0;

    private static final ScaleConstants SCALES = new ScaleConstants(LEVELS_AT + LOAD);
    private static final int X_AT = SCALES.end();

    /**
     * What the code depends on.
     *
     * @param in input features, a multiple of 64
     * @param rows of x, 1 to 8
     * @param nested whether an absmax is a code itself
     * @param blockShift blocks are of 64 weights, shifted left by this
     * @param vnni whether the CPU adds products by one instruction
     */
    record Shape(int in, int rows, boolean nested, int blockShift, boolean vnni) {
        int groups() {
            return in / GROUP;
        }
    }

    /** Bytes of a row of x. */
    private static int rowBytes(int in) {
        return Math.ceilDiv(in / GROUP, BATCH) * BATCH_BYTES;
    }

    @Override
    public boolean takes(DType dtype, long rows, long in, int blockSize) {
        return (rows <= MOST_ROWS_OF_BF16 || dtype == DType.F32)
                && MachineLines.takes(dtype, in, blockSize);
    }

    @Override
    public void multiply(
            Tensor x, Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor y) {
        int in = Math.toIntExact(x.size(-1));
        int out = Math.toIntExact(y.size(-1));
        int rows = Math.toIntExact(x.count() / in);
        MachineLines.requireFit(
                x, codes, scales, blockSize, y, takes(x.dtype(), rows, in, blockSize));
        if (rows >= MANY_ROWS) {
            WholeTiles.Kind kind = vnni ? WholeTiles.Kind.AVX512_VNNI : WholeTiles.Kind.AVX512;
            WholeTiles.multiply(workers, kind, x, codes, scales, table, blockSize, y);
            return;
        }
        int blockShift = Integer.numberOfTrailingZeros(blockSize / GROUP);
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
                    code(new Shape(in, count, nested, blockShift, vnni))
                            .invokeExact(
                                    packed + (long) line * in / 2,
                                    constants,
                                    constants + X_AT + (long) row * rowBytes,
                                    (long) line * (in / GROUP),
                                    sums,
                                    lines);
                });
    }

    /** Levels, what decodes an absmax, and x in the order of the weights. */
    private static MemorySegment constants(
            Tensor x, int rows, int in, BlockScales scales, CodeTable table) {
        MemorySegment room = NativeScratch.of(X_AT + (long) rows * rowBytes(in));
        short[] levels = WholeRows.levels(table);
        for (int i = 0; i < LOAD / Short.BYTES; i++) {
            room.setAtIndex(JAVA_SHORT, LEVELS_AT + i, levels[i % levels.length]);
        }
        SCALES.write(scales, room);
        layOut(FloatMemory.of(x), rows, in, WholeRows.unit(table), room);
        return room;
    }

    private static void layOut(FloatMemory x, int rows, int in, double unit, MemorySegment room) {
        float[] plain = FloatMemory.scratch(in);
        int[] whole = new int[GROUP];
        int[] laid = new int[rowBytes(in) / Integer.BYTES];
        for (int row = 0; row < rows; row++) {
            x.copyRow((long) row * in, in, plain);
            for (int group = 0; group < in / GROUP; group++) {
                int batch = group / BATCH * BATCH_BYTES / Integer.BYTES;
                int inBatch = group % BATCH;
                float units = WholeRows.round(plain, group * GROUP, whole, unit);
                int lane = BATCH * GROUP / 2 + inBatch * BATCH;
                laid[batch + lane] = Float.floatToRawIntBits(units);
                layOut(whole, laid, batch + inBatch / 2 * GROUP + inBatch % 2 * GROUP / 8);
            }
            long at = X_AT + (long) row * rowBytes(in);
            MemorySegment.copy(laid, 0, room, JAVA_INT, at, laid.length);
        }
    }

    /** Half of a load: two neighbours in one, as far apart in x as the codes of lanes are. */
    private static void layOut(int[] whole, int[] laid, int from) {
        for (int vector = 0; vector < ORDER.length; vector++) {
            for (int i = 0; i < GROUP / 8; i++) {
                int first = 8 * i + ORDER[vector];
                laid[from + vector * LOAD / Integer.BYTES + i] =
                        whole[first] & 0xFFFF | whole[first + 4] << Short.SIZE;
            }
        }
    }

    private static MethodHandle code(Shape shape) {
        return CODE.computeIfAbsent(shape, s -> MachineCode.load(assemble(s), LINES));
    }

    // ---- the code

    // vectors
    private static final int LEVELS = 0;
    private static final int CODES = 1;
    private static final int LEVEL = 2;
    private static final int OTHER = 3;
    private static final int SCALE = 4;
    private static final int NESTED = 5;
    private static final int OFFSET = 6;
    private static final int PRODUCT = 7;

    /** For each row of x: sums of the first two groups, of the others, and of a line. */
    private static final int FIRST = 8;

    private static final int SECOND = FIRST + ROWS;
    private static final int SUM = SECOND + ROWS;

    /** Masks of the lanes of quarters 1 to 3 have their numbers. */
    private static final int QUARTER = 0xF;

    // arguments, as the calling convention hands them over
    private static final Register NEXT_CODES = RDI;
    private static final Register CONSTANT = RSI;
    private static final Register X_OF_LINE = RDX;
    private static final Register NEXT_GROUP = RCX;
    private static final Register SUMS = R8;
    private static final Register LINES_LEFT = R9;

    private static final Register NESTED_ABSMAX = R10;
    private static final Register BATCHES_LEFT = R11;
    private static final Register X = RAX;

    // whose values the caller wants back
    private static final Register BLOCK = RBX;
    private static final Register CODE_OF_ABSMAX = RBP;
    private static final Register ABSMAX = R12;

    /** Sums of neighbouring lines of W, each of all rows of x. */
    static byte[] assemble(Shape shape) {
        var a = new Avx512Assembler(shape.vnni);
        a.push(BLOCK);
        a.push(CODE_OF_ABSMAX);
        a.push(ABSMAX);
        for (int quarter = 1; quarter < BATCH; quarter++) {
            a.mov(RAX, QUARTER << 4 * quarter);
            a.kmovw(quarter, RAX);
        }
        a.vmovups(LEVELS, new Memory(CONSTANT, LEVELS_AT));
        a.vbroadcastss(OFFSET, new Memory(CONSTANT, SCALES.offsetAt()));
        SCALES.load(a, CONSTANT, ABSMAX, NESTED_ABSMAX);
        int line = a.here();
        a.clear(SUM, shape.rows);
        a.mov(X, X_OF_LINE);
        if (shape.groups() >= BATCH) {
            a.mov(BATCHES_LEFT, shape.groups() / BATCH);
            int batch = a.here();
            addBatch(a, shape, BATCH);
            a.dec(BATCHES_LEFT);
            a.jnz(batch);
        }
        if (shape.groups() % BATCH != 0) {
            addBatch(a, shape, shape.groups() % BATCH);
        }
        a.appendSums(SUMS, SUM, FIRST, shape.rows);
        a.dec(LINES_LEFT);
        a.jnz(line);
        a.vzeroupper();
        a.pop(ABSMAX);
        a.pop(CODE_OF_ABSMAX);
        a.pop(BLOCK);
        a.ret();
        return a.code();
    }

    /** Adds the products of the next groups, at most {@link #BATCH}. */
    private static void addBatch(Avx512Assembler a, Shape shape, int groups) {
        a.clear(FIRST, shape.rows);
        addLoad(a, shape, 0, Math.min(groups, 2), FIRST);
        a.clear(SECOND, shape.rows);
        addLoad(a, shape, 1, groups - 2, SECOND);
        for (int row = 0; row < shape.rows; row++) {
            addLanes(a, FIRST + row, SECOND + row);
        }
        scales(a, shape, groups);
        for (int row = 0; row < shape.rows; row++) {
            int units = row * rowBytes(shape.in) + BATCH * GROUP * Short.BYTES;
            a.vmulps(SECOND + row, SCALE, new Memory(X, units));
            a.vfmadd231ps(SUM + row, FIRST + row, SECOND + row);
        }
        a.add(NEXT_CODES, groups * GROUP / 2);
        a.add(NEXT_GROUP, groups);
        a.add(X, BATCH_BYTES);
    }

    /** The products of a load of codes, of which there may be half or none; x is 0 beside those. */
    private static void addLoad(Avx512Assembler a, Shape shape, int load, int groups, int to) {
        if (groups <= 0) {
            return;
        }
        Memory codes = new Memory(NEXT_CODES, load * LOAD);
        if (groups == 1) {
            a.vmovdqu(CODES, codes);
        } else {
            a.vmovdqu32(CODES, codes);
        }
        a.prefetchnta(new Memory(NEXT_CODES, load * LOAD + MachineLines.AHEAD));
        for (int vector = 0; vector < ORDER.length; vector++) {
            if (vector > 0) {
                a.vpsrlw(CODES, CODES, 4);
            }
            a.vpermw(LEVEL, CODES, LEVELS);
            for (int row = 0; row < shape.rows; row++) {
                int at = row * rowBytes(shape.in) + (load * ORDER.length + vector) * LOAD;
                a.addProducts(to + row, LEVEL, new Memory(X, at), PRODUCT);
            }
        }
    }

    /** Sums of the four halves of two vectors, as floats in all lanes of the first's quarters. */
    private static void addLanes(Avx512Assembler a, int first, int second) {
        a.vshuff32x4(OTHER, first, second, 0b11_01_11_01);
        a.vshuff32x4(first, first, second, 0b10_00_10_00);
        a.vpaddd(first, first, OTHER);
        a.vpermilps(OTHER, first, 0b01_00_11_10);
        a.vpaddd(first, first, OTHER);
        a.vpermilps(OTHER, first, 0b10_11_00_01);
        a.vpaddd(first, first, OTHER);
        a.vcvtdq2ps(first, first);
    }

    /** Absmax of the next groups, each in a quarter. */
    private static void scales(Avx512Assembler a, Shape shape, int groups) {
        int toNested = shape.blockShift + Integer.numberOfTrailingZeros(BlockScales.NESTED_BLOCK);
        boolean oneNested = shape.groups() % BATCH == 0; // no batch has groups of two
        for (int group = 0; group < groups; group++) {
            int mask = group; // the first fills all lanes
            int unit = shape.nested ? 1 : Float.BYTES;
            Memory absmax = new Memory(ABSMAX, NEXT_GROUP, unit, group * unit);
            if (shape.blockShift > 0) {
                ScaleConstants.block(a, BLOCK, NEXT_GROUP, group, shape.blockShift);
                absmax = new Memory(ABSMAX, BLOCK, unit, 0);
            }
            if (!shape.nested) {
                a.vbroadcastss(SCALE, mask, absmax);
                continue;
            }
            a.movzx(CODE_OF_ABSMAX, absmax);
            a.vbroadcastss(
                    SCALE, mask, new Memory(CONSTANT, CODE_OF_ABSMAX, Float.BYTES, SCALES.mapAt()));
            if (group == 0 || !oneNested) {
                ScaleConstants.block(a, BLOCK, NEXT_GROUP, group, toNested);
                a.vbroadcastss(NESTED, mask, new Memory(NESTED_ABSMAX, BLOCK, Float.BYTES, 0));
            }
        }
        if (shape.nested) {
            a.vmulps(SCALE, SCALE, NESTED);
            a.vaddps(SCALE, SCALE, OFFSET);
        }
    }
}
