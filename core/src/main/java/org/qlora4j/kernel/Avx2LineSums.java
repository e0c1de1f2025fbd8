package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.qlora4j.kernel.X86Instructions.Register.R10;
import static org.qlora4j.kernel.X86Instructions.Register.R11;
import static org.qlora4j.kernel.X86Instructions.Register.R8;
import static org.qlora4j.kernel.X86Instructions.Register.R9;
import static org.qlora4j.kernel.X86Instructions.Register.RAX;
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

/**
 * Sums of lines in f32, each line times a factor, in machine code for AVX2: {@code out[l] = Σ
 * factors[l][i] · line[i]}, for up to four lists l of factors at once, which share the loads of a
 * line. Lines are added in their order, each rounded once. Columns come in tiles of a few vectors,
 * whose sums stay in registers.
 *
 * @param lists of factors, 1 to 4
 * @param vectors of a tile, of 8 columns each
 * @param atOnce neighbouring vectors of a tile; the next ones lie {@code further} behind
 * @param further bytes from the first of neighbouring vectors to the first of the next
 * @param line bytes from a line to the next
 * @param tile bytes from a tile to the next
 * @param factors bytes from a list of factors to the next; 0 if that is the stride of the call
 * @param out bytes from a list's sums to the next; 0 if that is the stride of the call
 */
record Avx2LineSums(
        int lists, int vectors, int atOnce, int further, int line, int tile, int factors, int out) {
    /** The matrix, factors, sums, stride, lines, tiles. */
    private static final FunctionDescriptor CALL =
            FunctionDescriptor.ofVoid(JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, JAVA_LONG, JAVA_LONG);

    private static final Map<Avx2LineSums, MethodHandle> CODE = new ConcurrentHashMap<>();

    /** Floats of a vector. */
    static final int LANES = 8;

    /** Most lists of factors. */
    static final int MOST_LISTS = 4;

    private static final int VECTOR = LANES * Float.BYTES;

    // arguments, as the calling convention hands them over
    private static final Register MATRIX = RDI;
    private static final Register FACTORS = RSI;
    private static final Register SUMS = RDX;
    private static final Register STRIDE = RCX;
    private static final Register LINES = R8;
    private static final Register TILES_LEFT = R9;

    private static final Register LINE = RAX;
    private static final Register FACTOR = R10;
    private static final Register LINES_LEFT = R11;
    private static final Register THREE_STRIDES = RBX; // whose value the caller wants back

    /** Vectors of a tile that keep every adder busy, and leave registers for what they add. */
    static int vectorsFor(int lists) {
        return switch (lists) {
            case 1 -> 8;
            case 2, 3 -> 4;
            default -> 2;
        };
    }

    /** What computes neighbouring tiles of one width. */
    interface Tiles {
        /**
         * @param first unit of the first tile
         * @param width of each, in units
         * @param tiles how many
         */
        void run(int first, int width, int tiles);
    }

    /**
     * Cuts columns into tiles, the last ones narrower.
     *
     * @param units of columns
     * @param most units of a tile
     */
    static void inTiles(int units, int most, Tiles code) {
        int width = Math.min(most, units);
        int whole = units / width;
        code.run(0, width, whole);
        int done = whole * width;
        if (done < units) {
            code.run(done, units - done, 1);
        }
    }

    /**
     * Computes neighbouring tiles.
     *
     * @param matrix address of its first line and column
     * @param from the first list's first factor
     * @param sums written
     * @param stride of lists in bytes, where a record's is 0
     * @param lines at least 1
     * @param tiles at least 1
     */
    void run(
            long matrix,
            MemorySegment from,
            MemorySegment sums,
            long stride,
            long lines,
            long tiles) {
        MachineLines.call(() -> {
            CODE.computeIfAbsent(this, s -> MachineCode.load(s.assemble(), CALL))
                    .invokeExact(matrix, from, sums, stride, lines, tiles);
        });
    }

    private int sum(int list, int vector) {
        return list * vectors + vector;
    }

    private byte[] assemble() {
        int factor = lists * vectors;
        int loaded = factor + lists;
        var a = new Avx2Assembler();
        a.push(THREE_STRIDES);
        a.lea(THREE_STRIDES, new Memory(STRIDE, STRIDE, 2, 0));
        int nextTile = a.here();
        a.clear(0, lists * vectors);
        a.mov(LINE, MATRIX);
        a.mov(FACTOR, FACTORS);
        a.mov(LINES_LEFT, LINES);
        int next = a.here();
        for (int list = 0; list < lists; list++) {
            a.vbroadcastss(factor + list, at(FACTOR, list, factors, 0));
        }
        for (int v = 0; v < vectors; v++) {
            Memory columns = new Memory(LINE, v / atOnce * further + v % atOnce * VECTOR);
            if (lists == 1) {
                a.vfmadd231ps(sum(0, v), factor, columns);
                continue;
            }
            a.vmovups(loaded, columns);
            for (int list = 0; list < lists; list++) {
                a.vfmadd231ps(sum(list, v), factor + list, loaded);
            }
        }
        a.add(LINE, line);
        a.add(FACTOR, Float.BYTES);
        a.dec(LINES_LEFT);
        a.jnz(next);
        for (int list = 0; list < lists; list++) {
            for (int v = 0; v < vectors; v++) {
                a.vmovups(at(SUMS, list, out, v * VECTOR), sum(list, v));
            }
        }
        a.add(MATRIX, tile);
        a.add(SUMS, vectors * VECTOR);
        a.dec(TILES_LEFT);
        a.jnz(nextTile);
        a.vzeroupper();
        a.pop(THREE_STRIDES);
        a.ret();
        return a.code();
    }

    private static Memory at(Register base, int list, int fixed, int offset) {
        if (fixed > 0 || list == 0) {
            return new Memory(base, list * fixed + offset);
        }
        return list == 3
                ? new Memory(base, THREE_STRIDES, 1, offset)
                : new Memory(base, STRIDE, list, offset);
    }
}
