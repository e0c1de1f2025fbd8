package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
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
 * {@link FourBitProduct} in machine code for AVX2, on Linux, by {@link WholeRows}: two shuffles of
 * bytes look up 32 codes in the lower and the upper bytes of the levels, and unpacking joins them.
 * The sum of a group's 64 products is exact; it becomes a float, which the scales of the weights
 * and of x multiply. A weight is looked up once for up to two rows of x, or for all of many ({@link
 * WholeTiles}).
 */
record Avx2FourBitProduct(Workers workers) implements FourBitProduct {
    /** Codes, constants, x, first group, sums, lines. */
    private static final FunctionDescriptor LINES =
            FunctionDescriptor.ofVoid(
                    JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG);

    private static final Map<Shape, MethodHandle> CODE = new ConcurrentHashMap<>();

    /** Weights that have one scale, and as many values of x. */
    private static final int GROUP = WholeRows.GROUP;

    /** Bytes of a group's codes. */
    private static final int GROUP_BYTES = GROUP / 2;

    /** Groups whose sums stand in one vector: group i adds to lane i % 4. */
    static final int BATCH = 4;

    /** Bytes of a batch of x: its numbers, its units, and zeros to a whole vector. */
    private static final int BATCH_BYTES = BATCH * GROUP * Short.BYTES + X86Vectors.AVX2;

    private static final int[] ORDER = order(X86Vectors.AVX2);
    private static final int[] ORDER_OF_SSE = order(X86Vectors.SSE);

    /** Most rows of x at once, so that what belongs to each stays in registers. */
    private static final int ROWS = 2;

    /** Rows from which on {@link WholeTiles} are faster. */
    private static final int MANY_ROWS = 5;

    /** Where things lie in the memory that {@link #constants} fills: each 32 bytes first. */
    private static final int LOWER_BYTES_AT = 0;

    private static final int VECTOR = 32;
    private static final int UPPER_BYTES_AT = LOWER_BYTES_AT + VECTOR;
    private static final int LOW_HALVES_AT = UPPER_BYTES_AT + VECTOR;
    private static final ScaleConstants SCALES = new ScaleConstants(LOW_HALVES_AT + VECTOR);
    private static final int X_AT = SCALES.end();

    /**
     * What the code depends on.
     *
     * @param vectorBytes of the vectors that it is written with
     * @param in input features, a multiple of 64
     * @param rows of x, 1 or 2
     * @param nested whether an absmax is a code itself
     * @param blockShift blocks are of 64 weights, shifted left by this
     */
    record Shape(int vectorBytes, int in, int rows, boolean nested, int blockShift) {
        int groups() {
            return in / GROUP;
        }
    }

    @Override
    public boolean takes(DType dtype, long rows, long in, int blockSize) {
        return MachineLines.takes(dtype, in, blockSize);
    }

    @Override
    public void multiply(
            Tensor x, Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor y) {
        int in = Math.toIntExact(x.size(-1));
        int out = Math.toIntExact(y.size(-1));
        int rows = Math.toIntExact(x.count() / in);
        MachineLines.requireFit(
                x, codes, scales, blockSize, y, takes(x.dtype(), rows, in, blockSize));
        if (rows < MANY_ROWS) {
            multiplyFew(workers, X86Vectors.AVX2, x, codes, scales, table, blockSize, y);
            return;
        }
        WholeTiles.multiply(workers, WholeTiles.Kind.AVX2, x, codes, scales, table, blockSize, y);
    }

    /** Few rows by vectors of so many bytes, of arguments that are known to fit. */
    static void multiplyFew(
            Workers workers,
            int vectorBytes,
            Tensor x,
            Tensor codes,
            BlockScales scales,
            CodeTable table,
            int blockSize,
            Tensor y) {
        int in = Math.toIntExact(x.size(-1));
        int out = Math.toIntExact(y.size(-1));
        int rows = Math.toIntExact(x.count() / in);
        int blockShift = Integer.numberOfTrailingZeros(blockSize / GROUP);
        boolean nested = scales.nestedAbsmax() != null;
        long packed = codes.segment().address();
        MemorySegment constants = constants((long) rows * rowBytes(in), scales, table);
        int[] order = vectorBytes == X86Vectors.AVX2 ? ORDER : ORDER_OF_SSE;
        double unit = WholeRows.unit(table);
        layOut(FloatMemory.of(x), rows, in, order, unit, constants.asSlice(X_AT));
        MachineLines.run(
                workers,
                FloatMemory.of(y),
                rows,
                out,
                TASK / in,
                ROWS,
                (row, count, line, lines, sums) -> {
                    code(new Shape(vectorBytes, in, count, nested, blockShift))
                            .invokeExact(
                                    packed + (long) line * in / 2,
                                    constants.address(),
                                    constants.address() + X_AT + (long) row * rowBytes(in),
                                    (long) line * (in / GROUP),
                                    sums,
                                    lines);
                });
    }

    /** Levels as bytes, what decodes an absmax, and room for x. */
    private static MemorySegment constants(long bytesOfX, BlockScales scales, CodeTable table) {
        MemorySegment room = NativeScratch.of(X_AT + bytesOfX);
        short[] levels = WholeRows.levels(table);
        for (int i = 0; i < VECTOR; i++) { // both halves of a vector have the table
            short level = levels[i % levels.length];
            room.set(JAVA_BYTE, LOWER_BYTES_AT + i, (byte) level);
            room.set(JAVA_BYTE, UPPER_BYTES_AT + i, (byte) (level >> Byte.SIZE));
            room.set(JAVA_BYTE, LOW_HALVES_AT + i, (byte) 15);
        }
        SCALES.write(scales, room);
        return room;
    }

    /**
     * Which element of x stands beside which weight of a group. Byte j of a load holds elements 2j
     * in its high and 2j + 1 in its low half. The low halves come first, in two vectors: the first
     * has the lower 8 of each 16 bytes, the second the upper.
     *
     * @return the first of each two neighbours, whose other is that of the next byte
     */
    private static int[] order(int vectorBytes) {
        int words = vectorBytes / Short.BYTES;
        int[] order = new int[GROUP / 2];
        for (int i = 0; i < GROUP; i += 2) {
            int load = i / (2 * vectorBytes) * vectorBytes;
            int vector = i % (2 * vectorBytes) / words;
            int word = i % words;
            int b = load + word / 8 * 16 + vector % 2 * 8 + word % 8;
            order[i / 2] = 2 * b + (vector < 2 ? 1 : 0);
        }
        return order;
    }

    /** Bytes of a row of x. */
    private static int rowBytes(int in) {
        return Math.ceilDiv(in / GROUP, BATCH) * BATCH_BYTES;
    }

    /** x in whole numbers, in the order of the weights. */
    private static void layOut(
            FloatMemory x, int rows, int in, int[] order, double unit, MemorySegment room) {
        float[] plain = FloatMemory.scratch(in);
        int[] whole = new int[GROUP];
        int[] laid = new int[rowBytes(in) / Integer.BYTES];
        for (int row = 0; row < rows; row++) {
            x.copyRow((long) row * in, in, plain);
            for (int group = 0; group < in / GROUP; group++) {
                int batch = group / BATCH * BATCH_BYTES / Integer.BYTES;
                int inBatch = group % BATCH;
                float units = WholeRows.round(plain, group * GROUP, whole, unit);
                laid[batch + BATCH * GROUP / 2 + inBatch] = Float.floatToRawIntBits(units);
                layOut(whole, order, laid, batch + inBatch * GROUP / 2);
            }
            long at = (long) row * rowBytes(in);
            MemorySegment.copy(laid, 0, room, JAVA_INT, at, laid.length);
        }
    }

    /** A group, two numbers in one. */
    private static void layOut(int[] whole, int[] order, int[] laid, int from) {
        for (int i = 0; i < GROUP / 2; i++) {
            int first = order[i]; // in a vector each second element of x follows
            laid[from + i] = whole[first] & 0xFFFF | whole[first + 2] << Short.SIZE;
        }
    }

    private static MethodHandle code(Shape shape) {
        return CODE.computeIfAbsent(shape, s -> MachineCode.load(assemble(s), LINES));
    }

    // ---- the code

    // vectors: bytes of the levels, codes, what is looked up
    private static final int LOWER_TABLE = SseAssembler.SPARE + 1;
    private static final int UPPER_TABLE = LOWER_TABLE + 1;
    private static final int CODES = UPPER_TABLE + 1;
    private static final int INDEX = CODES + 1;
    private static final int LOWER = INDEX + 1;
    private static final int UPPER = LOWER + 1;
    private static final int PRODUCT = UPPER + 1;

    /** For each row of x: sums of an even and an odd group, of four, and of a line. */
    private static final int EVEN = PRODUCT + 1;

    private static final int ODD = EVEN + ROWS;
    private static final int FOUR = ODD + ROWS;
    private static final int SUM = FOUR + ROWS;

    // where nothing is looked up just then
    private static final int SCALE = INDEX;
    private static final int NESTED = LOWER;

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
        X86Vectors a = X86Vectors.of(shape.vectorBytes);
        a.push(BLOCK);
        a.push(CODE_OF_ABSMAX);
        a.push(ABSMAX);
        a.vmovups(LOWER_TABLE, new Memory(CONSTANT, LOWER_BYTES_AT));
        a.vmovups(UPPER_TABLE, new Memory(CONSTANT, UPPER_BYTES_AT));
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
        a.appendSums(SUMS, SUM, PRODUCT, shape.rows);
        a.dec(LINES_LEFT);
        a.jnz(line);
        a.vzeroupper();
        a.pop(ABSMAX);
        a.pop(CODE_OF_ABSMAX);
        a.pop(BLOCK);
        a.ret();
        return a.code();
    }

    /** Adds the products of the next groups, at most {@link #BATCH}, each to a lane of the sums. */
    private static void addBatch(X86Vectors a, Shape shape, int groups) {
        for (int even = 0; even < BATCH; even += 2) {
            addGroup(a, shape, even, groups, EVEN);
            addGroup(a, shape, even + 1, groups, ODD);
            for (int row = 0; row < shape.rows; row++) {
                a.vphaddd((even == 0 ? FOUR : EVEN) + row, EVEN + row, ODD + row);
            }
        }
        for (int row = 0; row < shape.rows; row++) {
            a.vphaddd(FOUR + row, FOUR + row, EVEN + row);
            a.addUpperHalf(FOUR + row, PRODUCT);
            a.vcvtdq2ps(FOUR + row, FOUR + row);
        }
        scales(a, shape, groups);
        for (int row = 0; row < shape.rows; row++) {
            int units = row * rowBytes(shape.in) + BATCH * GROUP * Short.BYTES;
            a.vmulps(EVEN + row, SCALE, new Memory(X, units));
            a.vfmadd231ps(SUM + row, FOUR + row, EVEN + row);
        }
        a.add(NEXT_CODES, groups * GROUP_BYTES);
        a.add(NEXT_GROUP, groups);
        a.add(X, BATCH_BYTES);
    }

    /** The products of a group of a batch, added up to each lane of a register for each row. */
    private static void addGroup(X86Vectors a, Shape shape, int group, int groups, int to) {
        if (group >= groups) {
            a.clear(to, shape.rows);
            return;
        }
        int at = group * GROUP_BYTES;
        if (group % 2 == 0) {
            a.prefetchnta(new Memory(NEXT_CODES, at + MachineLines.AHEAD));
        }
        int vector = 0;
        for (int load = 0; load < GROUP_BYTES; load += a.vectorBytes()) {
            a.vmovups(CODES, new Memory(NEXT_CODES, at + load));
            for (int half = 0; half < 2; half++) {
                if (half == 1) {
                    a.vpsrlw(CODES, CODES, 4);
                }
                a.vpand(INDEX, CODES, new Memory(CONSTANT, LOW_HALVES_AT));
                a.vpshufb(LOWER, LOWER_TABLE, INDEX);
                a.vpshufb(UPPER, UPPER_TABLE, INDEX);
                a.vpunpcklbw(INDEX, LOWER, UPPER);
                addProduct(a, shape, group, vector++, INDEX, to);
                a.vpunpckhbw(LOWER, LOWER, UPPER);
                addProduct(a, shape, group, vector++, LOWER, to);
            }
        }
    }

    private static void addProduct(
            X86Vectors a, Shape shape, int group, int vector, int levels, int to) {
        for (int row = 0; row < shape.rows; row++) {
            int at = row * rowBytes(shape.in) + group * GROUP * Short.BYTES;
            Memory x = new Memory(X, at + vector * a.vectorBytes());
            if (vector == 0) {
                a.vpmaddwd(to + row, levels, x);
            } else {
                int product = row == shape.rows - 1 ? levels : PRODUCT;
                a.vpmaddwd(product, levels, x);
                a.vpaddd(to + row, to + row, product);
            }
        }
    }

    /** Absmax of the next groups, each in a lane. */
    private static void scales(X86Vectors a, Shape shape, int groups) {
        int toNested = shape.blockShift + Integer.numberOfTrailingZeros(BlockScales.NESTED_BLOCK);
        boolean oneNested = shape.groups() % BATCH == 0; // no batch has groups of two
        a.clear(SCALE, 1);
        if (shape.nested && oneNested) {
            ScaleConstants.block(a, BLOCK, NEXT_GROUP, 0, toNested);
            a.vbroadcastss(NESTED, new Memory(NESTED_ABSMAX, BLOCK, Float.BYTES, 0));
        } else if (shape.nested) {
            a.clear(NESTED, 1);
        }
        for (int group = 0; group < groups; group++) {
            int unit = shape.nested ? 1 : Float.BYTES;
            Memory absmax = new Memory(ABSMAX, NEXT_GROUP, unit, group * unit);
            if (shape.blockShift > 0) {
                ScaleConstants.block(a, BLOCK, NEXT_GROUP, group, shape.blockShift);
                absmax = new Memory(ABSMAX, BLOCK, unit, 0);
            }
            if (!shape.nested) {
                a.vinsertps(SCALE, group, absmax);
                continue;
            }
            a.movzx(CODE_OF_ABSMAX, absmax);
            a.vinsertps(
                    SCALE,
                    group,
                    new Memory(CONSTANT, CODE_OF_ABSMAX, Float.BYTES, SCALES.mapAt()));
            if (!oneNested) {
                ScaleConstants.block(a, BLOCK, NEXT_GROUP, group, toNested);
                a.vinsertps(NESTED, group, new Memory(NESTED_ABSMAX, BLOCK, Float.BYTES, 0));
            }
        }
        if (shape.nested) {
            a.vmulps(SCALE, SCALE, NESTED);
            a.vaddps(SCALE, SCALE, new Memory(CONSTANT, SCALES.offsetAt()));
        }
    }
}
