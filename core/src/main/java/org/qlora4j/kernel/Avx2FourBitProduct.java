package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
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
 * {@link FourBitProduct} in machine code for AVX2, on Linux. Shuffles of bytes look up 32 codes at
 * once in tables of 16 bytes: the first bytes of the levels, their second, third and fourth;
 * unpacking joins the four to floats. A scale is applied once to the sum of 64 products. A weight
 * is looked up once for up to three rows of x, or for all of many ({@link Avx2Tiles}).
 */
record Avx2FourBitProduct(Workers workers) implements FourBitProduct {
    /** Codes, constants, x, first part, sums, lines. */
    private static final FunctionDescriptor LINES =
            FunctionDescriptor.ofVoid(
                    JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG);

    private static final Map<Shape, MethodHandle> CODE = new ConcurrentHashMap<>();
    private static final Map<TileShape, MethodHandle> TILE_CODE = new ConcurrentHashMap<>();

    /** Weights of one load, 32 bytes, which have one scale. */
    private static final int GROUP = VectorFourBitProduct.HALF;

    private static final int[] ORDER = order(X86Vectors.AVX2);
    private static final int[] ORDER_OF_SSE = order(X86Vectors.SSE);

    /** Most rows of x at once, so that what belongs to each stays in registers. */
    private static final int ROWS = 3;

    /** Rows from which on {@link Avx2Tiles} are faster. */
    private static final int MANY_ROWS = 9;

    /** Rows beyond which decoding the weight for one large matrix product is faster. */
    private static final int MOST_ROWS = 64;

    /** Where things lie in the memory that {@link #constants} fills: each 32 bytes first. */
    private static final int PLANES_AT = 0;

    private static final int PLANES = Float.BYTES;
    private static final int VECTOR = 32;
    private static final int LOW_HALVES_AT = PLANES_AT + PLANES * VECTOR;
    private static final int OFFSET_AT = LOW_HALVES_AT + VECTOR;
    private static final int ABSMAX_AT = OFFSET_AT + VECTOR;
    private static final int NESTED_AT = ABSMAX_AT + Long.BYTES;
    private static final int MAP_AT = ABSMAX_AT + VECTOR;
    private static final int X_AT = MAP_AT + MachineLines.MAP_LENGTH * Float.BYTES;

    /** For {@link Avx2Tiles}: the levels of each byte of codes, as in {@link PairFourBit}. */
    private static final int PAIRS_AT = X_AT;

    private static final int PAIR_BYTES = 2 * Float.BYTES << 8;

    /**
     * What the code depends on.
     *
     * @param vectorBytes of the vectors that it is written with
     * @param in input features, a multiple of 64
     * @param rows of x, 1 to 3
     * @param nested whether an absmax is a code itself
     * @param blockShift blocks are of 64 weights, shifted left by this
     */
    record Shape(int vectorBytes, int in, int rows, boolean nested, int blockShift) {}

    /** The same for many rows. */
    record TileShape(Avx2Tiles tile, boolean nested, int blockShift) {}

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
        if (rows < MANY_ROWS) {
            multiplyFew(workers, X86Vectors.AVX2, x, codes, scales, table, blockSize, y);
            return;
        }
        int blockShift = Integer.numberOfTrailingZeros(blockSize / GROUP);
        boolean nested = scales.nestedAbsmax() != null;
        long packed = codes.segment().address();
        MemorySegment constants =
                constants(Avx2Tiles.bytesOf(rows, in), scales, table, PAIRS_AT + PAIR_BYTES);
        MemorySegment.copy(PairFourBit.pairs(table), 0, constants, JAVA_FLOAT, PAIRS_AT, 2 << 8);
        Avx2Tiles.run(
                workers,
                FloatMemory.of(x),
                in,
                ORDER,
                FloatMemory.of(y),
                rows,
                out,
                constants.asSlice(PAIRS_AT + PAIR_BYTES),
                (tile, line, tiles, sums, room) -> {
                    code(new TileShape(tile, nested, blockShift))
                            .invokeExact(
                                    packed + (long) line * in / 2,
                                    constants.address(),
                                    sums,
                                    (long) line * (in / GROUP),
                                    room,
                                    tiles);
                });
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
        MemorySegment constants = constants((long) rows * in * Float.BYTES, scales, table, X_AT);
        int[] order = vectorBytes == X86Vectors.AVX2 ? ORDER : ORDER_OF_SSE;
        layOut(FloatMemory.of(x), rows, in, order, constants.asSlice(X_AT));
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
                                    constants.address() + X_AT + (long) row * in * Float.BYTES,
                                    (long) line * (in / GROUP),
                                    sums,
                                    lines);
                });
    }

    /** Levels as bytes, what decodes an absmax, and room for x from {@code at} on. */
    private static MemorySegment constants(
            long bytesOfX, BlockScales scales, CodeTable table, int at) {
        MemorySegment room = NativeScratch.of(at + bytesOfX);
        for (int i = 0; i < VECTOR; i++) { // both halves of a vector have the table
            int level = Float.floatToRawIntBits(table.levels()[i % 16]);
            for (int plane = 0; plane < PLANES; plane++) {
                room.set(JAVA_BYTE, PLANES_AT + plane * VECTOR + i, (byte) (level >> 8 * plane));
            }
            room.set(JAVA_BYTE, LOW_HALVES_AT + i, (byte) 15);
        }
        for (int i = 0; i < 8; i++) {
            room.setAtIndex(JAVA_FLOAT, OFFSET_AT / Float.BYTES + i, scales.offset());
        }
        Tensor nested = scales.nestedAbsmax();
        room.set(JAVA_LONG, ABSMAX_AT, scales.absmax().segment().address());
        room.set(JAVA_LONG, NESTED_AT, nested == null ? 0 : nested.segment().address());
        MemorySegment.copy(scales.map(), 0, room, JAVA_FLOAT, MAP_AT, scales.map().length);
        return room;
    }

    /**
     * Which element of x stands beside which weight of a group. Byte j of a load holds elements 2j
     * in its high and 2j + 1 in its low half. The low halves come first, four vectors of them:
     * vector v has the bytes 4v to 4v + 3 of the first 16 of the load, and then those of the next.
     */
    private static int[] order(int vectorBytes) {
        int lanes = vectorBytes / Float.BYTES;
        int[] order = new int[GROUP];
        for (int i = 0; i < GROUP; i++) {
            int load = i / (2 * vectorBytes) * vectorBytes;
            int lane = i % lanes;
            int b = i % vectorBytes / lanes * 4 + lane % 4 + lane / 4 * 16;
            order[i] = 2 * (load + b) + (i % (2 * vectorBytes) < vectorBytes ? 1 : 0);
        }
        return order;
    }

    /** x in the order of the weights. */
    private static void layOut(FloatMemory x, int rows, int in, int[] order, MemorySegment room) {
        float[] plain = FloatMemory.scratch(in);
        float[] laid = new float[in];
        for (int row = 0; row < rows; row++) {
            x.copyRow((long) row * in, in, plain);
            for (int group = 0; group < in; group += GROUP) {
                for (int i = 0; i < GROUP; i++) {
                    laid[group + i] = plain[group + order[i]];
                }
            }
            MemorySegment.copy(laid, 0, room, JAVA_FLOAT, (long) row * in * Float.BYTES, in);
        }
    }

    private static MethodHandle code(Shape shape) {
        return CODE.computeIfAbsent(shape, s -> MachineCode.load(assemble(s), LINES));
    }

    private static MethodHandle code(TileShape shape) {
        return TILE_CODE.computeIfAbsent(
                shape,
                s ->
                        MachineCode.load(
                                s.tile.assemble(
                                        new TileGroups(s.nested, s.blockShift), s.tile.in() / 2),
                                Avx2Tiles.TILES));
    }

    // ---- the code

    // vectors: four tables of bytes (not with SSE), what is looked up in them, the codes
    private static final int PLANE = 0;
    private static final int BYTES = PLANES;
    private static final int JOINED = BYTES + PLANES;
    private static final int CODES = JOINED + 1;

    /** For each row of x, a register for the products of each chain of a group. */
    private static final int PART = CODES + 1;

    /** The first of the registers for the sums of a line, one for each row of x. */
    private static int sum(X86Vectors a) {
        return a.keepsTables() ? PART + ROWS : SseAssembler.SPARE + 1;
    }

    // where nothing is looked up just then
    private static final int SCALE = BYTES;
    private static final int NESTED = BYTES + 1;

    // arguments, as the calling convention hands them over
    private static final Register NEXT_CODES = RDI;
    private static final Register CONSTANT = RSI;
    private static final Register X_OF_LINE = RDX;
    private static final Register NEXT_GROUP = RCX;
    private static final Register SUMS = R8;
    private static final Register LINES_LEFT = R9;

    private static final Register NESTED_ABSMAX = R10;
    private static final Register GROUPS_LEFT = R11;
    private static final Register X = RAX;

    // whose values the caller wants back
    private static final Register BLOCK = RBX;
    private static final Register PAIRS = BLOCK; // between the scales of groups

    private static final Register CODE_OF_ABSMAX = RBP;
    private static final Register ABSMAX = R12;

    /** Sums of neighbouring lines of W, each of all rows of x. */
    static byte[] assemble(Shape shape) {
        X86Vectors a = X86Vectors.of(shape.vectorBytes);
        int sum = sum(a);
        a.push(BLOCK);
        a.push(CODE_OF_ABSMAX);
        a.push(ABSMAX);
        loadTables(a);
        int line = a.here();
        a.clear(sum, shape.rows);
        a.mov(X, X_OF_LINE);
        a.mov(GROUPS_LEFT, shape.in / GROUP);
        int group = a.here();
        lookUpGroup(a, (levels, vector) -> addProduct(a, shape, levels, vector));
        scale(a, 0, shape.nested, shape.blockShift);
        for (int row = 0; row < shape.rows; row++) {
            a.addChains(sum + row, PART + row * a.chains(), SCALE);
        }
        a.add(NEXT_CODES, GROUP / 2);
        a.add(NEXT_GROUP, 1);
        a.add(X, GROUP * Float.BYTES);
        a.dec(GROUPS_LEFT);
        a.jnz(group);
        a.appendSums(SUMS, sum, PART, shape.rows);
        a.dec(LINES_LEFT);
        a.jnz(line);
        a.vzeroupper();
        a.pop(ABSMAX);
        a.pop(CODE_OF_ABSMAX);
        a.pop(BLOCK);
        a.ret();
        return a.code();
    }

    /** What is done with the weights of a vector. */
    private interface Levels {
        /**
         * @param levels register
         * @param vector of the group, from 0
         */
        void use(int levels, int vector);
    }

    /**
     * Looks up half of the codes of a load.
     *
     * @param first vector of the group
     */
    private static void lookUp(X86Vectors a, int first, Levels levels) {
        a.vpand(JOINED, CODES, new Memory(CONSTANT, LOW_HALVES_AT));
        for (int plane = 0; plane < PLANES; plane++) {
            int table = PLANE + plane;
            if (!a.keepsTables()) {
                table = BYTES + plane;
                a.vmovups(table, new Memory(CONSTANT, PLANES_AT + plane * VECTOR));
            }
            a.vpshufb(BYTES + plane, table, JOINED);
        }
        a.vpunpcklbw(JOINED, BYTES, BYTES + 1);
        a.vpunpckhbw(BYTES, BYTES, BYTES + 1);
        a.vpunpcklbw(BYTES + 1, BYTES + 2, BYTES + 3);
        a.vpunpckhbw(BYTES + 2, BYTES + 2, BYTES + 3);
        a.vpunpcklwd(BYTES + 3, JOINED, BYTES + 1);
        levels.use(BYTES + 3, first);
        a.vpunpckhwd(JOINED, JOINED, BYTES + 1);
        levels.use(JOINED, first + 1);
        a.vpunpcklwd(BYTES + 3, BYTES, BYTES + 2);
        levels.use(BYTES + 3, first + 2);
        a.vpunpckhwd(JOINED, BYTES, BYTES + 2);
        levels.use(JOINED, first + 3);
    }

    /** Looks up the next group. */
    private static void lookUpGroup(X86Vectors a, Levels levels) {
        int first = 0;
        for (int load = 0; load < GROUP / 2; load += a.vectorBytes()) {
            a.vmovups(CODES, new Memory(NEXT_CODES, load));
            if (load == 0) {
                a.prefetchnta(new Memory(NEXT_CODES, MachineLines.AHEAD));
            }
            lookUp(a, first, levels);
            a.vpsrlw(CODES, CODES, 4);
            lookUp(a, first + PLANES, levels);
            first += 2 * PLANES;
        }
    }

    /**
     * Groups of neighbouring lines, for {@link Avx2Tiles}. Weights come in {@link #order}: vectors
     * 0 to 3 of a group are the low halves of its bytes, 4 to 7 the high ones.
     */
    private record TileGroups(boolean nested, int blockShift) implements Avx2Tiles.Groups {
        private static final int OF_HALVES = PLANES;

        @Override
        public int size() {
            return GROUP;
        }

        @Override
        public int codeAt(int part) {
            return part % OF_HALVES * 4;
        }

        @Override
        public int toUpperHalf() {
            return 16;
        }

        @Override
        public Memory level(Register code, int part) {
            int low = part < OF_HALVES ? Float.BYTES : 0; // the first of a pair is the high half
            return new Memory(PAIRS, code, 2 * Float.BYTES, low);
        }

        @Override
        public void scales(Avx2Assembler a, Avx2Tiles tile) {
            loadAbsmax(a);
            for (int line = 0; line < tile.lines(); line++) {
                scale(a, line * (tile.in() / GROUP), nested, blockShift);
                a.vmovss(tile.scale(line), SCALE);
            }
            a.lea(PAIRS, new Memory(CONSTANT, PAIRS_AT));
        }

        @Override
        public void nextGroup(Avx2Assembler a) {
            a.add(NEXT_GROUP, 1);
        }

        @Override
        public void nextTile(Avx2Assembler a, Avx2Tiles tile) {
            a.add(NEXT_GROUP, (tile.lines() - 1) * (tile.in() / GROUP));
        }
    }

    private static void loadTables(X86Vectors a) {
        for (int plane = 0; a.keepsTables() && plane < PLANES; plane++) {
            a.vmovups(PLANE + plane, new Memory(CONSTANT, PLANES_AT + plane * VECTOR));
        }
        loadAbsmax(a);
    }

    private static void loadAbsmax(X86Vectors a) {
        a.mov(ABSMAX, new Memory(CONSTANT, ABSMAX_AT));
        a.mov(NESTED_ABSMAX, new Memory(CONSTANT, NESTED_AT));
    }

    private static void addProduct(X86Vectors a, Shape shape, int levels, int vector) {
        for (int row = 0; row < shape.rows; row++) {
            Memory x = new Memory(X, (row * shape.in + vector * a.lanes()) * Float.BYTES);
            boolean last = row == shape.rows - 1;
            a.addProduct(vector, PART + row * a.chains(), levels, x, last);
        }
    }

    /** Absmax of a group, so many behind the next, to all lanes. */
    private static void scale(X86Vectors a, int behind, boolean nested, int blockShift) {
        a.lea(BLOCK, new Memory(NEXT_GROUP, behind));
        if (blockShift > 0) {
            a.shr(BLOCK, blockShift);
        }
        if (!nested) {
            a.vbroadcastss(SCALE, new Memory(ABSMAX, BLOCK, Float.BYTES, 0));
            return;
        }
        a.movzx(CODE_OF_ABSMAX, new Memory(ABSMAX, BLOCK, 1, 0));
        a.vbroadcastss(SCALE, new Memory(CONSTANT, CODE_OF_ABSMAX, Float.BYTES, MAP_AT));
        a.shr(BLOCK, Integer.numberOfTrailingZeros(BlockScales.NESTED_BLOCK));
        a.vbroadcastss(NESTED, new Memory(NESTED_ABSMAX, BLOCK, Float.BYTES, 0));
        a.vmulps(SCALE, SCALE, NESTED);
        a.vaddps(SCALE, SCALE, new Memory(CONSTANT, OFFSET_AT));
    }
}
