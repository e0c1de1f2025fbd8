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
import static org.qlora4j.kernel.X86Instructions.Register.RDX;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import org.qlora4j.kernel.X86Instructions.Memory;
import org.qlora4j.kernel.X86Instructions.Register;

/**
 * The product of many rows of x with a weight in groups, in machine code for AVX2. A lane of a
 * vector is a row of x. A group of weights of neighbouring lines is decoded once, to a few KiB,
 * then each weight goes to all lanes.
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

    /** Weights of a line that share a scale. */
    private static final int GROUP = VectorFourBitProduct.HALF;

    /** Floats of a vector. */
    static final int LANES = 8;

    private static final int VECTOR = LANES * Float.BYTES;

    /** Registers for products, of 16. */
    private static final int PARTS = 12;

    /** Most rows of x. */
    static final int ROWS = 2 * LANES;

    // where things lie in a task's room: x, scales of a group by line, its weights, sums by lane
    private static final int X_AT = 0;
    private static final int SCALES_AT = Long.BYTES * 8;
    private static final int LEVELS_AT = SCALES_AT + 64;

    /** How the groups of a weight are decoded. */
    interface Decoding {
        /** Scales and weights of the next group of each line, to the room. */
        void decode(Avx2Assembler a, Avx2Tiles tile);

        /** On to the next group. */
        void nextGroup(Avx2Assembler a);

        /** From behind the first line to the first group of the next tile. */
        void nextTile(Avx2Assembler a, Avx2Tiles tile);
    }

    /** Code that computes neighbouring tiles. */
    interface Code {
        /**
         * @param lines of each tile
         * @param firstLine of W
         * @param sums written: [tiles * lines, 8 * vectors]
         */
        void run(int lines, int firstLine, long tiles, MemorySegment sums, MemorySegment room)
                throws Throwable;
    }

    // arguments, beside those that belong to the decoding
    private static final Register SUMS = RDX;
    private static final Register ROOM = R8;
    private static final Register TILES_LEFT = R9;

    private static final Register X = RAX;
    private static final Register GROUPS_LEFT = R11;

    // free for the decoding of a group, which may also change what the caller wants back
    private static final Register LEVEL = RBX;
    private static final Register LANE_SUMS = RBP;
    private static final Register LANES_LEFT = R10;
    private static final Register SAVED = R12;

    /** Vectors beside {@link #PARTS}: one or two of x, a weight or scale to all lanes. */
    private static final int X_VECTOR = PARTS;

    private static final int ALL = X_VECTOR + 2;

    static int vectorsOf(int rows) {
        return rows <= LANES ? 1 : 2;
    }

    /** Lines of a tile, so that its sums fill the registers. */
    static int linesOf(int vectors) {
        return PARTS / vectors;
    }

    private int levelAt(int line, int weight) {
        return (line * GROUP + weight) * Float.BYTES;
    }

    Memory scale(int line) {
        return new Memory(ROOM, SCALES_AT + line * Float.BYTES);
    }

    /** Where a vector of weights of the group goes. */
    Memory level(int line, int vector) {
        return new Memory(ROOM, LEVELS_AT + levelAt(line, vector * LANES));
    }

    private int sumsAt() {
        return LEVELS_AT + levelAt(lines, 0);
    }

    private int laneBytes() {
        return lines * vectors * VECTOR;
    }

    private Memory sum(int lane, int slot) {
        return new Memory(ROOM, sumsAt() + lane * laneBytes() + slot * VECTOR);
    }

    private long roomBytes() {
        return sumsAt() + (long) LANES * laneBytes();
    }

    /** Sums of neighbouring tiles. */
    byte[] assemble(Decoding decoding) {
        int slots = lines * vectors;
        int row = vectors * VECTOR;
        var a = new Avx2Assembler();
        a.push(LEVEL);
        a.push(LANE_SUMS);
        a.push(SAVED);
        int tile = a.here();
        a.clear(0, 1);
        for (int lane = 0; lane < LANES; lane++) {
            for (int slot = 0; slot < slots; slot++) {
                a.vmovups(sum(lane, slot), 0);
            }
        }
        a.mov(X, new Memory(ROOM, X_AT));
        a.mov(GROUPS_LEFT, in / GROUP);
        int next = a.here();
        decoding.decode(a, this);
        a.lea(LEVEL, new Memory(ROOM, LEVELS_AT));
        a.lea(LANE_SUMS, new Memory(ROOM, sumsAt()));
        a.mov(LANES_LEFT, LANES);
        int lane = a.here();
        addLane(a);
        a.add(X, row);
        a.add(LEVEL, Float.BYTES);
        a.add(LANE_SUMS, laneBytes());
        a.dec(LANES_LEFT);
        a.jnz(lane);
        a.add(X, (GROUP - LANES) * row);
        decoding.nextGroup(a);
        a.dec(GROUPS_LEFT);
        a.jnz(next);
        for (int slot = 0; slot < slots; slot++) {
            addLanes(a, slot);
            a.vmovups(new Memory(SUMS, slot * VECTOR), 0);
        }
        a.add(SUMS, slots * VECTOR);
        decoding.nextTile(a, this);
        a.dec(TILES_LEFT);
        a.jnz(tile);
        a.vzeroupper();
        a.pop(SAVED);
        a.pop(LANE_SUMS);
        a.pop(LEVEL);
        a.ret();
        return a.code();
    }

    /** The group's products of one lane, times its scale to the lane's sums. */
    private void addLane(Avx2Assembler a) {
        for (int i = 0; i < GROUP / LANES; i++) {
            for (int v = 0; v < vectors; v++) {
                a.vmovups(X_VECTOR + v, new Memory(X, (i * LANES * vectors + v) * VECTOR));
            }
            for (int line = 0; line < lines; line++) {
                a.vbroadcastss(ALL, new Memory(LEVEL, levelAt(line, i * LANES)));
                for (int v = 0; v < vectors; v++) {
                    int part = line * vectors + v;
                    if (i == 0) {
                        a.vmulps(part, ALL, X_VECTOR + v);
                    } else {
                        a.vfmadd231ps(part, ALL, X_VECTOR + v);
                    }
                }
            }
        }
        for (int line = 0; line < lines; line++) {
            a.vbroadcastss(ALL, scale(line));
            for (int v = 0; v < vectors; v++) {
                int part = line * vectors + v;
                Memory sum = new Memory(LANE_SUMS, part * VECTOR);
                a.vfmadd213ps(part, ALL, sum);
                a.vmovups(sum, part);
            }
        }
    }

    /** The sum of a slot's lanes in register 0, in the order of {@link FloatMemory#sum}. */
    private void addLanes(Avx2Assembler a, int slot) {
        for (int lane = 0; lane < LANES / 2; lane++) {
            a.vmovups(lane, sum(lane, slot));
            a.vaddps(lane, lane, sum(lane + LANES / 2, slot));
        }
        a.vaddps(0, 0, 2);
        a.vaddps(1, 1, 3);
        a.vaddps(0, 0, 1);
    }

    /** x by columns, in the order that the weights of a group have once they are decoded. */
    static void layOut(FloatMemory x, int rows, int in, int[] order, MemorySegment room) {
        int width = vectorsOf(rows) * LANES;
        float[] plain = FloatMemory.scratch(in);
        float[] laid = new float[in * width];
        for (int row = 0; row < rows; row++) {
            x.copyRow((long) row * in, in, plain);
            for (int first = 0; first < in; first += order.length) {
                for (int i = 0; i < order.length; i++) {
                    laid[(first + i) * width + row] = plain[first + order[i]];
                }
            }
        }
        MemorySegment.copy(laid, 0, room, JAVA_FLOAT, 0, laid.length);
    }

    /**
     * Computes all lines.
     *
     * @param y [rows, out]
     * @param fewest lines of a task
     * @param x as {@link #layOut} wrote it
     */
    static void run(
            Workers workers,
            FloatMemory y,
            int rows,
            int out,
            int fewest,
            MemorySegment x,
            Code code) {
        int vectors = vectorsOf(rows);
        int width = vectors * LANES;
        int most = linesOf(vectors);
        long room = new Avx2Tiles(GROUP, most, vectors).roomBytes();
        workers.runLines(
                Math.ceilDiv(out, most),
                Math.ceilDiv(fewest, most),
                (tile, end) -> {
                    int first = tile * most;
                    int lines = Math.min(out, end * most) - first;
                    int whole = lines / most;
                    MemorySegment all =
                            NativeScratch.ofTask(room + (long) lines * width * Float.BYTES);
                    all.set(JAVA_LONG, X_AT, x.address());
                    MemorySegment sums = all.asSlice(room);
                    MachineLines.call(() -> {
                        if (whole > 0) {
                            code.run(most, first, whole, sums, all);
                        }
                        int done = whole * most;
                        if (done < lines) {
                            long at = (long) done * width * Float.BYTES;
                            code.run(lines - done, first + done, 1, sums.asSlice(at), all);
                        }
                    });
                    float[] made = FloatMemory.scratch(lines * width);
                    MemorySegment.copy(sums, JAVA_FLOAT, 0, made, 0, lines * width);
                    MachineLines.store(made, width, y, 0, rows, out, first, lines);
                });
    }
}
