package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.qlora4j.kernel.X86Instructions.Register.R10;
import static org.qlora4j.kernel.X86Instructions.Register.R11;
import static org.qlora4j.kernel.X86Instructions.Register.R12;
import static org.qlora4j.kernel.X86Instructions.Register.R8;
import static org.qlora4j.kernel.X86Instructions.Register.R9;
import static org.qlora4j.kernel.X86Instructions.Register.RAX;
import static org.qlora4j.kernel.X86Instructions.Register.RBP;
import static org.qlora4j.kernel.X86Instructions.Register.RBX;
import static org.qlora4j.kernel.X86Instructions.Register.RDI;
import static org.qlora4j.kernel.X86Instructions.Register.RDX;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import org.qlora4j.kernel.X86Instructions.Memory;
import org.qlora4j.kernel.X86Instructions.Register;

/**
 * The product of many rows of x with a weight in groups, in machine code for AVX2. A lane of a
 * vector is a row of x: a code of the weight finds its level in a table, and from there goes to all
 * lanes. The look-up takes general registers, which are idle while vectors multiply.
 *
 * <p>Products are added in the order of the code for few rows, where a lane is one weight of eight:
 * first those of a group's lane, times the group's scale to the sum of that lane, in the end the
 * sums of all lanes. So a row gets the same bits, however many rows there are.
 *
 * @param in input features, a multiple of the group
 * @param lines of W at once
 * @param vectors of 8 rows of x, 1 or 2
 */
record Avx2Tiles(int in, int lines, int vectors) {
    /** Codes, constants or scales, sums, first group, room, tiles. */
    static final FunctionDescriptor TILES =
            FunctionDescriptor.ofVoid(JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG, ADDRESS, JAVA_LONG);

    /** Floats of a vector. */
    static final int LANES = 8;

    private static final int VECTOR = LANES * Float.BYTES;

    /** Bytes of a group's codes. */
    private static final int GROUP_BYTES = 32;

    /** Registers for products, of 16. */
    private static final int PARTS = 12;

    /** Most rows of x for one call of the code. */
    static final int ROWS = 2 * LANES;

    /** Weights of a task times rows of a panel, some microseconds of work for each panel. */
    private static final int TASK = 1 << 18;

    private static final int GROUPS_OF_TASK = 4;

    /** Lines whose sums are stored at once. */
    private static final int TURNED = 6;

    /** Floats that a row's last store writes behind its sums. */
    private static final int BEHIND = LANES;

    // where things lie in a task's room: x, bytes between rows of sums, scales of a group by line,
    // sums by lane
    private static final int X_AT = 0;
    private static final int STRIDE_AT = Long.BYTES;
    private static final int SCALES_AT = Long.BYTES * 8;
    private static final int SUMS_AT = SCALES_AT + 64;

    /** How the groups of a weight lie in memory. */
    interface Groups {
        /** Weights of a line that share a scale, whose codes are 32 bytes. */
        int size();

        /** Where a group has the code of its weight {@code 8 * part}, in bytes. */
        int codeAt(int part);

        /** Bytes from there to the code of the weight that is four behind. */
        int toUpperHalf();

        /** Where the level of a code lies, its byte in the register. */
        Memory level(Register code, int part);

        /** Scales of the next group of each line, to {@link #scale}; it may change all vectors. */
        void scales(Avx2Assembler a, Avx2Tiles tile);

        /** On to the scales of the next group. */
        void nextGroup(Avx2Assembler a);

        /** From behind the first line to the first scales of the next tile. */
        void nextTile(Avx2Assembler a, Avx2Tiles tile);
    }

    /** Code that computes neighbouring tiles. */
    interface Code {
        /**
         * @param tile of as many lines and vectors
         * @param firstLine of W
         * @param sums written: [8 * vectors, tiles * lines], rows as far apart as the room says
         */
        void run(Avx2Tiles tile, int firstLine, long tiles, MemorySegment sums, MemorySegment room)
                throws Throwable;
    }

    // arguments, beside those that belong to the groups
    private static final Register CODES = RDI;
    private static final Register SUMS = RDX;
    private static final Register ROOM = R8;
    private static final Register TILES_LEFT = R9;

    private static final Register X = RAX;
    private static final Register GROUPS_LEFT = R11;

    // free for the scales of a group, which may also change what the caller wants back
    private static final Register KEPT = RBX;
    private static final Register LANE_SUMS = RBP;
    private static final Register LANES_LEFT = R10;
    private static final Register CODE = R12;

    /** Vectors beside {@link #PARTS}: one or two of x, a weight or scale to all lanes. */
    private static final int X_VECTOR = PARTS;

    private static final int ALL = X_VECTOR + 2;

    private static int vectorsOf(int rows) {
        return rows <= LANES ? 1 : 2;
    }

    /** Lines of a tile, so that its sums fill the registers. */
    private static int linesOf(int vectors) {
        return PARTS / vectors;
    }

    /** Where the scale of a line's next group goes. */
    Memory scale(int line) {
        return new Memory(ROOM, SCALES_AT + line * Float.BYTES);
    }

    private int laneBytes() {
        return lines * vectors * VECTOR;
    }

    private Memory sum(int lane, int slot) {
        return new Memory(ROOM, SUMS_AT + lane * laneBytes() + slot * VECTOR);
    }

    private static int roomBytes() {
        return SUMS_AT + LANES * PARTS * VECTOR;
    }

    /** Sums of neighbouring tiles. */
    byte[] assemble(Groups groups, int bytesOfLine) {
        int slots = lines * vectors;
        int row = vectors * VECTOR;
        var a = new Avx2Assembler();
        a.push(KEPT);
        a.push(LANE_SUMS);
        a.push(CODE);
        int tile = a.here();
        a.clear(0, 1);
        for (int lane = 0; lane < LANES; lane++) {
            for (int slot = 0; slot < slots; slot++) {
                a.vmovups(sum(lane, slot), 0);
            }
        }
        a.mov(X, new Memory(ROOM, X_AT));
        a.mov(GROUPS_LEFT, in / groups.size());
        int next = a.here();
        for (int line = 0; line < lines; line++) {
            a.prefetchnta(new Memory(CODES, (lines + line) * bytesOfLine));
        }
        groups.scales(a, this);
        a.lea(LANE_SUMS, new Memory(ROOM, SUMS_AT));
        a.mov(LANES_LEFT, LANES / 2);
        int lane = a.here();
        for (int half = 0; half < 2; half++) {
            addLane(a, groups, bytesOfLine, half);
        }
        a.add(CODES, 1);
        a.add(X, 2 * groups.size() / LANES * row);
        a.add(LANE_SUMS, laneBytes());
        a.dec(LANES_LEFT);
        a.jnz(lane);
        a.add(CODES, GROUP_BYTES - LANES / 2);
        groups.nextGroup(a);
        a.dec(GROUPS_LEFT);
        a.jnz(next);
        storeSums(a);
        a.add(SUMS, lines * Float.BYTES);
        a.add(CODES, (lines - 1) * bytesOfLine);
        groups.nextTile(a, this);
        a.dec(TILES_LEFT);
        a.jnz(tile);
        a.vzeroupper();
        a.pop(CODE);
        a.pop(LANE_SUMS);
        a.pop(KEPT);
        a.ret();
        return a.code();
    }

    /** The group's products of one lane, times its scale to the lane's sums. */
    private void addLane(Avx2Assembler a, Groups groups, int bytesOfLine, int half) {
        int parts = groups.size() / LANES;
        for (int part = 0; part < parts; part++) {
            for (int v = 0; v < vectors; v++) {
                int at = ((half * parts + part) * vectors + v) * VECTOR;
                a.vmovups(X_VECTOR + v, new Memory(X, at));
            }
            int codeAt = groups.codeAt(part) + half * groups.toUpperHalf();
            for (int line = 0; line < lines; line++) {
                a.movzx(CODE, new Memory(CODES, line * bytesOfLine + codeAt));
                a.vbroadcastss(ALL, groups.level(CODE, part));
                for (int v = 0; v < vectors; v++) {
                    int sum = line * vectors + v;
                    if (part == 0) {
                        a.vmulps(sum, ALL, X_VECTOR + v);
                    } else {
                        a.vfmadd231ps(sum, ALL, X_VECTOR + v);
                    }
                }
                if (part == parts - 1) { // one line after another, as stores take their time
                    addScaled(a, line, half * LANES / 2);
                }
            }
        }
    }

    /** A line's products of a group and a lane, times the scale, to the sums. */
    private void addScaled(Avx2Assembler a, int line, int lane) {
        a.vbroadcastss(ALL, scale(line));
        for (int v = 0; v < vectors; v++) {
            int part = line * vectors + v;
            Memory sum = new Memory(LANE_SUMS, lane * laneBytes() + part * VECTOR);
            a.vfmadd213ps(part, ALL, sum);
            a.vmovups(sum, part);
        }
    }

    /** Sums of all lanes, turned so that a row's stand behind each other. */
    private void storeSums(Avx2Assembler a) {
        Register row = LANE_SUMS;
        Register stride = CODE;
        a.mov(stride, new Memory(ROOM, STRIDE_AT));
        for (int first = 0; first < lines; first += TURNED) {
            a.lea(row, new Memory(SUMS, first * Float.BYTES));
            for (int v = 0; v < vectors; v++) {
                for (int line = first; line < Math.min(lines, first + TURNED); line++) {
                    addLanes(a, LANES + line - first, line * vectors + v);
                }
                a.turn(LANES);
                for (int i = 0; i < LANES; i++) {
                    a.vmovups(new Memory(row, 0), i);
                    a.lea(row, new Memory(row, stride, 1, 0));
                }
            }
        }
    }

    /** The sum of a slot's lanes, in the order of {@link FloatMemory#sum}. */
    private void addLanes(Avx2Assembler a, int to, int slot) {
        for (int lane = 0; lane < LANES / 2; lane++) {
            a.vmovups(lane, sum(lane, slot));
            a.vaddps(lane, lane, sum(lane + LANES / 2, slot));
        }
        a.vaddps(0, 0, 2);
        a.vaddps(1, 1, 3);
        a.vaddps(to, 0, 1);
    }

    /** Bytes of x as {@link #layOut} writes it. */
    static long bytesOf(int rows, int in) {
        return (long) Math.ceilDiv(rows, ROWS) * ROWS * in * Float.BYTES;
    }

    /** Weights of a group in the order of the code, which so reads x on and on. */
    private static int[] asMultiplied(int[] order) {
        int[] out = new int[order.length];
        int next = 0;
        for (int lane = 0; lane < LANES / 2; lane++) {
            for (int half = 0; half < 2; half++) {
                for (int i = lane + half * LANES / 2; i < order.length; i += LANES) {
                    out[next++] = order[i];
                }
            }
        }
        return out;
    }

    /**
     * Lays x out in panels of 16 rows, or of 8 if there are no more. A panel is written by columns,
     * in the order of a group's weights.
     */
    private static void layOut(
            Workers workers, FloatMemory x, int rows, int in, int[] order, MemorySegment panels) {
        int groups = in / order.length;
        workers.runLines(
                Math.ceilDiv(rows, ROWS) * groups,
                GROUPS_OF_TASK,
                (from, to) -> {
                    float[] laid = new float[order.length * ROWS];
                    float[] plain = FloatMemory.scratch(order.length);
                    for (int i = from; i < to; i++) {
                        int first = i / groups * ROWS;
                        int count = Math.min(ROWS, rows - first);
                        int width = vectorsOf(count) * LANES;
                        int group = i % groups * order.length;
                        for (int row = 0; row < count; row++) {
                            x.copyRow((long) (first + row) * in + group, order.length, plain);
                            layOut(plain, order, laid, row, width);
                        }
                        long at = ((long) first * in + (long) group * width) * Float.BYTES;
                        int length = order.length * width;
                        MemorySegment.copy(laid, 0, panels, JAVA_FLOAT, at, length);
                    }
                });
    }

    private static void layOut(float[] plain, int[] order, float[] laid, int row, int width) {
        for (int i = 0; i < order.length; i++) {
            laid[i * width + row] = plain[order[i]];
        }
    }

    /**
     * Computes all lines.
     *
     * @param order of the weights of a group: which stands at each place
     * @param y [rows, out]
     * @param panels room of {@link #bytesOf} bytes
     */
    static void run(
            Workers workers,
            FloatMemory x,
            int in,
            int[] order,
            FloatMemory y,
            int rows,
            int out,
            MemorySegment panels,
            Code code) {
        layOut(workers, x, rows, in, asMultiplied(order), panels);
        int most = linesOf(vectorsOf(rows));
        int room = roomBytes();
        workers.runLines(
                Math.ceilDiv(out, most),
                TASK / (in * ROWS) / most,
                (tile, end) -> {
                    int line = tile * most;
                    int lines = Math.min(out, end * most) - line;
                    int stride = lines + BEHIND;
                    MemorySegment all =
                            NativeScratch.ofTask(room + (long) ROWS * stride * Float.BYTES);
                    all.set(JAVA_LONG, STRIDE_AT, (long) stride * Float.BYTES);
                    MemorySegment sums = all.asSlice(room);
                    float[] made = FloatMemory.scratch(lines);
                    for (int first = 0; first < rows; first += ROWS) {
                        int count = Math.min(ROWS, rows - first);
                        long at = (long) first * in * Float.BYTES;
                        all.set(JAVA_LONG, X_AT, panels.address() + at);
                        int vectors = vectorsOf(count);
                        MachineLines.call(() -> run(in, vectors, line, lines, sums, all, code));
                        for (int row = 0; row < count; row++) {
                            long from = (long) row * stride * Float.BYTES;
                            MemorySegment.copy(sums, JAVA_FLOAT, from, made, 0, lines);
                            y.storeScaled(made, lines, 1, (long) (first + row) * out + line);
                        }
                    }
                });
    }

    private static void run(
            int in,
            int vectors,
            int line,
            int lines,
            MemorySegment sums,
            MemorySegment room,
            Code code)
            throws Throwable {
        int most = linesOf(vectors);
        int whole = lines / most;
        if (whole > 0) {
            code.run(new Avx2Tiles(in, most, vectors), line, whole, sums, room);
        }
        int done = whole * most;
        if (done < lines) {
            long at = (long) done * Float.BYTES;
            Avx2Tiles rest = new Avx2Tiles(in, lines - done, vectors);
            code.run(rest, line + done, 1, sums.asSlice(at), room);
        }
    }
}
