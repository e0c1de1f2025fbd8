package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
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
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * The product of many rows of x with a 4-bit weight, in machine code for AVX2 or AVX-512, by {@link
 * WholeRows}. A lane of a vector is a row of x: a byte of codes finds its two levels in a table,
 * and from there they go to all lanes. The look-up takes general registers, which are idle while
 * vectors multiply.
 *
 * <p>The sum of a group is exact. Times its scales it is added in the order of the code for few
 * rows: to one of four sums in turns, which are added in the end. So a row gets the same bits,
 * however many rows there are.
 *
 * @param in input features, a multiple of 64
 * @param lines of W at once
 * @param vectors of rows of x, 1 or 2
 * @param kind of the vectors
 * @param nested whether an absmax is a code itself
 * @param blockShift blocks are of 64 weights, shifted left by this
 */
record WholeTiles(int in, int lines, int vectors, Kind kind, boolean nested, int blockShift) {
    /** What instructions there are. */
    enum Kind {
        AVX2,
        AVX512,
        AVX512_VNNI;

        TileVectors assembler() {
            return this == AVX2 ? new Avx2Assembler() : new Avx512Assembler(this == AVX512_VNNI);
        }

        /** Floats of a vector. */
        int lanes() {
            return this == AVX2 ? 8 : 16;
        }

        /** Most rows of x for one call of the code. */
        int rows() {
            return 2 * lanes();
        }

        private int vectorsOf(int rows) {
            return rows <= lanes() ? 1 : 2;
        }

        /** Lines of a tile, whose sums fill all registers but four, or eight. */
        private int linesOf(int vectors) {
            return (this == AVX2 ? 12 : 24) / vectors;
        }
    }

    /** Codes, constants, sums, first group, room, tiles. */
    private static final FunctionDescriptor TILES =
            FunctionDescriptor.ofVoid(JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG);

    private static final Map<WholeTiles, MethodHandle> LOADED = new ConcurrentHashMap<>();

    /** Floats of a vector of AVX2, by which sums are stored and scales decoded. */
    private static final int HALF_LANES = 8;

    private static final int HALF = HALF_LANES * Float.BYTES;

    private static final int GROUP = WholeRows.GROUP;

    /** Bytes of a group's codes. */
    private static final int GROUP_BYTES = GROUP / 2;

    /** Bytes of a group of a row of x: its numbers and their unit. */
    private static final int X_BYTES = GROUP * Short.BYTES + Float.BYTES;

    /** Sums that groups are added to in turns. */
    private static final int TURNS = 4;

    /** Bytes of codes in a row of the code, of a group's. */
    private static final int UNROLLED = 4;

    /** Weights of a task times rows of a panel, some microseconds of work for each panel. */
    private static final int TASK = 1 << 18;

    private static final int GROUPS_OF_TASK = 4;

    /** Tiles of a task from so many panels on, so that a panel stays in the cache for all. */
    private static final int MANY_TILES = 8;

    private static final int MANY_ROWS = 64;

    /** Rows that are laid out at once, some MiB that a thread keeps. */
    private static final int MOST_ROWS = 512;

    /** Lines whose sums are stored at once. */
    private static final int TURNED = 6;

    /** Floats that a row's last store writes behind its sums. */
    private static final int BEHIND = HALF_LANES;

    // where things lie in a task's room: x, bytes between rows of sums, scales of a group by line,
    // sums by slot and turn
    private static final int X_AT = 0;
    private static final int STRIDE_AT = Long.BYTES;
    private static final int SCALES_AT = Long.BYTES * 8;
    private static final int SUMS_AT = SCALES_AT + 128;

    // where things lie in the constants
    private static final ScaleConstants SCALES = new ScaleConstants(0);

    /** The two levels of each byte of codes. */
    private static final int PAIRS_AT = SCALES.end();

    private static final int PANELS_AT = PAIRS_AT + (Integer.BYTES << 8);

    // arguments, as the calling convention hands them over
    private static final Register CODES = RDI;
    private static final Register CONSTANT = RSI;
    private static final Register SUMS = RDX;
    private static final Register NEXT_GROUP = RCX;
    private static final Register ROOM = R8;
    private static final Register TILES_LEFT = R9;

    private static final Register X = RAX;
    private static final Register GROUPS_LEFT = R11;

    // whose values the caller wants back; until a group's scales are made also of theirs
    private static final Register PAIRS = RBX;
    private static final Register TURN = RBP; // offset of the sums of a group's turn
    private static final Register CODE = R12;
    private static final Register BYTES_LEFT = R10;

    private static final Register BLOCK = PAIRS;
    private static final Register CODE_OF_ABSMAX = TURN;
    private static final Register ABSMAX = CODE;
    private static final Register NESTED_ABSMAX = BYTES_LEFT;

    // vectors of a group's scales
    private static final int SCALE = 0;
    private static final int NESTED = 1;

    /** Vectors behind the sums: one or two of x, two levels or a scale to all lanes, a product. */
    private int xVector() {
        return lines * vectors;
    }

    private int all() {
        return xVector() + 2;
    }

    private int product() {
        return all() + 1;
    }

    private int vectorBytes() {
        return kind.lanes() * Float.BYTES;
    }

    /** Where the scale of a line's next group goes. */
    private static Memory scale(int line) {
        return new Memory(ROOM, SCALES_AT + line * Float.BYTES);
    }

    private Memory sum(int turn, int slot) {
        return new Memory(ROOM, SUMS_AT + (slot * TURNS + turn) * vectorBytes());
    }

    private static int roomBytes(Kind kind) {
        return SUMS_AT + TURNS * kind.linesOf(1) * kind.lanes() * Float.BYTES;
    }

    private MethodHandle code() {
        return LOADED.computeIfAbsent(this, tile -> MachineCode.load(tile.assemble(), TILES));
    }

    /** Sums of neighbouring tiles. */
    private byte[] assemble() {
        int bytesOfLine = in / 2;
        int groupsOfLine = in / GROUP;
        int row = vectors * vectorBytes();
        TileVectors a = kind.assembler();
        var halves = new Avx2Assembler(a.written());
        a.push(PAIRS);
        a.push(TURN);
        a.push(CODE);
        int tile = a.here();
        a.clear(0, 1);
        for (int slot = 0; slot < lines * vectors; slot++) {
            for (int turn = 0; turn < TURNS; turn++) {
                a.vmovups(sum(turn, slot), 0);
            }
        }
        a.mov(X, new Memory(ROOM, X_AT));
        a.mov(GROUPS_LEFT, groupsOfLine);
        int next = a.here();
        for (int line = 0; line < lines; line++) {
            a.prefetchnta(new Memory(CODES, (lines + line) * bytesOfLine));
        }
        makeScales(halves);
        a.lea(PAIRS, new Memory(CONSTANT, PAIRS_AT));
        a.clear(0, lines * vectors);
        a.mov(BYTES_LEFT, GROUP_BYTES / UNROLLED);
        int bytes = a.here();
        for (int b = 0; b < UNROLLED; b++) {
            addProducts(a, b);
        }
        a.add(CODES, UNROLLED);
        a.add(X, UNROLLED * row);
        a.dec(BYTES_LEFT);
        a.jnz(bytes);
        a.mov(TURN, groupsOfLine);
        a.sub(TURN, GROUPS_LEFT);
        a.and(TURN, TURNS - 1);
        a.shl(TURN, Integer.numberOfTrailingZeros(vectorBytes()));
        for (int line = 0; line < lines; line++) {
            addScaled(a, line);
        }
        a.add(X, row);
        a.add(NEXT_GROUP, 1);
        a.dec(GROUPS_LEFT);
        a.jnz(next);
        storeSums(halves);
        a.add(SUMS, lines * Float.BYTES);
        a.add(CODES, (lines - 1) * bytesOfLine);
        a.add(NEXT_GROUP, (lines - 1) * groupsOfLine);
        a.dec(TILES_LEFT);
        a.jnz(tile);
        halves.vzeroupper();
        a.pop(CODE);
        a.pop(TURN);
        a.pop(PAIRS);
        a.ret();
        return a.code();
    }

    /** Scales of the next group of each line. */
    private void makeScales(Avx2Assembler a) {
        SCALES.load(a, CONSTANT, ABSMAX, NESTED_ABSMAX);
        for (int line = 0; line < lines; line++) {
            ScaleConstants.block(a, BLOCK, NEXT_GROUP, line * (in / GROUP), blockShift);
            if (nested) {
                a.movzx(CODE_OF_ABSMAX, new Memory(ABSMAX, BLOCK, 1, 0));
                a.vbroadcastss(
                        SCALE, new Memory(CONSTANT, CODE_OF_ABSMAX, Float.BYTES, SCALES.mapAt()));
                a.shr(BLOCK, Integer.numberOfTrailingZeros(BlockScales.NESTED_BLOCK));
                a.vbroadcastss(NESTED, new Memory(NESTED_ABSMAX, BLOCK, Float.BYTES, 0));
                a.vmulps(SCALE, SCALE, NESTED);
                a.vaddps(SCALE, SCALE, new Memory(CONSTANT, SCALES.offsetAt()));
            } else {
                a.vbroadcastss(SCALE, new Memory(ABSMAX, BLOCK, Float.BYTES, 0));
            }
            a.vmovss(scale(line), SCALE);
        }
    }

    /** The products of the two weights of a byte of each line. */
    private void addProducts(TileVectors a, int b) {
        for (int v = 0; v < vectors; v++) {
            a.vmovups(xVector() + v, new Memory(X, (b * vectors + v) * vectorBytes()));
        }
        for (int line = 0; line < lines; line++) {
            a.movzx(CODE, new Memory(CODES, line * (in / 2) + b));
            a.vbroadcastss(all(), new Memory(PAIRS, CODE, Integer.BYTES, 0));
            for (int v = 0; v < vectors; v++) {
                a.addProducts(line * vectors + v, all(), xVector() + v, product());
            }
        }
    }

    /** A line's sum of a group, times the scales of weight and x, to the sums of the turn. */
    private void addScaled(TileVectors a, int line) {
        int scales = xVector();
        a.vbroadcastss(all(), scale(line));
        for (int v = 0; v < vectors; v++) {
            int part = line * vectors + v;
            Memory sum = new Memory(ROOM, TURN, 1, SUMS_AT + part * TURNS * vectorBytes());
            a.vmulps(scales, all(), new Memory(X, v * vectorBytes()));
            a.vcvtdq2ps(part, part);
            a.vfmadd213ps(part, scales, sum);
            a.vmovups(sum, part);
        }
    }

    /** Sums of all turns, their lanes made rows, so that a row's stand behind each other. */
    private void storeSums(Avx2Assembler a) {
        Register row = TURN;
        Register stride = CODE;
        a.mov(stride, new Memory(ROOM, STRIDE_AT));
        for (int first = 0; first < lines; first += TURNED) {
            a.lea(row, new Memory(SUMS, first * Float.BYTES));
            for (int half = 0; half < vectors * vectorBytes() / HALF; half++) {
                int v = half * HALF / vectorBytes();
                int at = half * HALF % vectorBytes();
                for (int line = first; line < Math.min(lines, first + TURNED); line++) {
                    addTurns(a, HALF_LANES + line - first, line * vectors + v, at);
                }
                a.turn(HALF_LANES);
                for (int i = 0; i < HALF_LANES; i++) {
                    a.vmovups(new Memory(row, 0), i);
                    a.lea(row, new Memory(row, stride, 1, 0));
                }
            }
        }
    }

    /** The sum of a slot's turns, in the order of {@link FloatMemory#sum}. */
    private void addTurns(Avx2Assembler a, int to, int slot, int at) {
        for (int turn = 0; turn < TURNS / 2; turn++) {
            Memory first = sum(turn, slot);
            Memory other = sum(turn + TURNS / 2, slot);
            a.vmovups(turn, new Memory(ROOM, first.offset() + at));
            a.vaddps(turn, turn, new Memory(ROOM, other.offset() + at));
        }
        a.vaddps(to, 0, 1);
    }

    /**
     * Lays x out in panels: as many rows as the code takes, or one vector of the last. A panel is
     * written by columns of two values, behind those of a group their units.
     */
    private static void layOut(
            Workers workers,
            Kind kind,
            FloatMemory x,
            int rows,
            int in,
            double unit,
            MemorySegment panels) {
        int groups = in / GROUP;
        workers.runLines(
                Math.ceilDiv(rows, kind.rows()) * groups,
                GROUPS_OF_TASK,
                (from, to) -> {
                    int[] laid = new int[X_BYTES / Integer.BYTES * kind.rows()];
                    float[] plain = new float[GROUP];
                    int[] whole = new int[GROUP];
                    for (int i = from; i < to; i++) {
                        int first = i / groups * kind.rows();
                        int count = Math.min(kind.rows(), rows - first);
                        int width = kind.vectorsOf(count) * kind.lanes();
                        int group = i % groups;
                        for (int row = 0; row < count; row++) {
                            x.copyRow((long) (first + row) * in + group * GROUP, GROUP, plain);
                            float units = WholeRows.round(plain, 0, whole, unit);
                            layOut(whole, Float.floatToRawIntBits(units), laid, row, width);
                        }
                        long at = ((long) first * groups + (long) group * width) * X_BYTES;
                        int length = X_BYTES / Integer.BYTES * width;
                        MemorySegment.copy(laid, 0, panels, JAVA_INT, at, length);
                    }
                });
    }

    private static void layOut(int[] whole, int units, int[] laid, int row, int width) {
        for (int i = 0; i < GROUP / 2; i++) {
            laid[i * width + row] = whole[2 * i] & 0xFFFF | whole[2 * i + 1] << Short.SIZE;
        }
        laid[GROUP / 2 * width + row] = units;
    }

    /** The product, of arguments that are known to fit, some rows after others. */
    static void multiply(
            Workers workers,
            Kind kind,
            Tensor x,
            Tensor codes,
            BlockScales scales,
            CodeTable table,
            int blockSize,
            Tensor y) {
        int in = Math.toIntExact(x.size(-1));
        int out = Math.toIntExact(y.size(-1));
        int rows = Math.toIntExact(x.count() / in);
        if (rows > MOST_ROWS) {
            try (TensorScope scope = TensorScope.open()) {
                Tensor from = x.view(rows, in);
                Tensor to = y.view(rows, out);
                for (int row = 0; row < rows; row += MOST_ROWS) {
                    int count = Math.min(MOST_ROWS, rows - row);
                    Tensor part = from.narrow(0, row, count);
                    Tensor result = to.narrow(0, row, count);
                    multiply(workers, kind, part, codes, scales, table, blockSize, result);
                }
            }
            return;
        }
        long bytesOfX =
                Math.ceilDiv((long) rows, kind.rows()) * kind.rows() * (in / GROUP) * X_BYTES;
        MemorySegment constants = constants(scales, table, bytesOfX);
        MemorySegment panels = constants.asSlice(PANELS_AT);
        layOut(workers, kind, FloatMemory.of(x), rows, in, WholeRows.unit(table), panels);
        long packed = codes.segment().address();
        FloatMemory target = FloatMemory.of(y);
        boolean nested = scales.nestedAbsmax() != null;
        int blockShift = Integer.numberOfTrailingZeros(blockSize / GROUP);
        int vectorsOfAll = kind.vectorsOf(rows);
        int most = kind.linesOf(vectorsOfAll);
        int fewest = rows < MANY_ROWS ? TASK / (in * kind.rows()) / most : MANY_TILES;
        int room = roomBytes(kind);
        workers.runLines(
                Math.ceilDiv(out, most),
                fewest,
                (tile, end) -> {
                    int line = tile * most;
                    int lines = Math.min(out, end * most) - line;
                    int stride = lines + BEHIND;
                    MemorySegment all =
                            NativeScratch.ofTask(room + (long) kind.rows() * stride * Float.BYTES);
                    all.set(JAVA_LONG, STRIDE_AT, (long) stride * Float.BYTES);
                    MemorySegment sums = all.asSlice(room);
                    float[] made = FloatMemory.scratch(lines);
                    for (int first = 0; first < rows; first += kind.rows()) {
                        int count = Math.min(kind.rows(), rows - first);
                        long at = (long) first * (in / GROUP) * X_BYTES;
                        all.set(JAVA_LONG, X_AT, panels.address() + at);
                        int vectors = kind.vectorsOf(count);
                        int ofTile = kind.linesOf(vectors);
                        int whole = lines / ofTile * ofTile;
                        for (int from = 0; from < lines; from = from < whole ? whole : lines) {
                            int ofThis = from < whole ? ofTile : lines - whole;
                            long tiles = from < whole ? whole / ofTile : 1;
                            MethodHandle code =
                                    new WholeTiles(in, ofThis, vectors, kind, nested, blockShift)
                                            .code();
                            long firstLine = line + from;
                            MemorySegment to = sums.asSlice((long) from * Float.BYTES);
                            MachineLines.call(() -> {
                                code.invokeExact(
                                        packed + firstLine * in / 2,
                                        constants.address(),
                                        to,
                                        firstLine * (in / GROUP),
                                        all,
                                        tiles);
                            });
                        }
                        for (int row = 0; row < count; row++) {
                            long from = (long) row * stride * Float.BYTES;
                            MemorySegment.copy(sums, JAVA_FLOAT, from, made, 0, lines);
                            target.storeScaled(made, lines, 1, (long) (first + row) * out + line);
                        }
                    }
                });
    }

    private static MemorySegment constants(BlockScales scales, CodeTable table, long bytesOfX) {
        MemorySegment room = NativeScratch.of(PANELS_AT + bytesOfX);
        SCALES.write(scales, room);
        short[] levels = WholeRows.levels(table);
        for (int b = 0; b < 1 << 8; b++) {
            int pair = levels[b >> 4] & 0xFFFF | levels[b & 15] << Short.SIZE;
            room.set(JAVA_INT, PAIRS_AT + (long) b * Integer.BYTES, pair);
        }
        return room;
    }
}
