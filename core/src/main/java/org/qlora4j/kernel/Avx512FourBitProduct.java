package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.qlora4j.kernel.Avx512Assembler.Register.R10;
import static org.qlora4j.kernel.Avx512Assembler.Register.R11;
import static org.qlora4j.kernel.Avx512Assembler.Register.R8;
import static org.qlora4j.kernel.Avx512Assembler.Register.R9;
import static org.qlora4j.kernel.Avx512Assembler.Register.RAX;
import static org.qlora4j.kernel.Avx512Assembler.Register.RBP;
import static org.qlora4j.kernel.Avx512Assembler.Register.RBX;
import static org.qlora4j.kernel.Avx512Assembler.Register.RCX;
import static org.qlora4j.kernel.Avx512Assembler.Register.RDI;
import static org.qlora4j.kernel.Avx512Assembler.Register.RDX;
import static org.qlora4j.kernel.Avx512Assembler.Register.RSI;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.qlora4j.error.DeviceException;
import org.qlora4j.kernel.Avx512Assembler.Memory;
import org.qlora4j.kernel.Avx512Assembler.Register;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link FourBitProduct} in machine code for AVX-512, on Linux. It computes what {@link
 * VectorFourBitProduct} does, to the bit, which it leaves more than one row to. What the Vector API
 * cannot say makes it fast: indices of a lookup without a mask, x at addresses that are multiples
 * of 64, an absmax decoded beside the products it scales, weights asked for ahead.
 *
 * @param rows more than one row, and blocks whose size is no power of 2
 */
record Avx512FourBitProduct(Workers workers, VectorFourBitProduct rows) implements FourBitProduct {
    /** Codes, absmax, constants, first half group, sums, lines. */
    private static final FunctionDescriptor LINES =
            FunctionDescriptor.ofVoid(
                    JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG, ADDRESS, JAVA_LONG);

    private static final Map<Shape, MethodHandle> CODE = new ConcurrentHashMap<>();

    /** Where things lie in the memory that {@link #constants} fills. */
    private static final int LEVELS_AT = 0;

    private static final int MAP_AT = 64;
    private static final int OFFSET_AT = MAP_AT + 256 * Float.BYTES;
    private static final int NESTED_AT = OFFSET_AT + Long.BYTES;
    private static final int X_AT = OFFSET_AT + 64;

    /** Bytes of codes from a load to what is asked for with it. */
    private static final int AHEAD = 4096;

    private static final ThreadLocal<MemorySegment> CONSTANTS =
            ThreadLocal.withInitial(() -> MemorySegment.NULL);

    /**
     * What the code depends on.
     *
     * @param in input features, a multiple of 64
     * @param nested whether an absmax is a code itself
     * @param blockShift blocks are of 64 weights, shifted left by this
     */
    record Shape(int in, boolean nested, int blockShift) {}

    /**
     * Assembles and loads code once, to see whether the system lets it run.
     *
     * @throws DeviceException if not
     */
    static Avx512FourBitProduct of(Workers workers) {
        String system = System.getProperty("os.name") + " on " + System.getProperty("os.arch");
        if (!system.equals("Linux on amd64")) {
            throw new DeviceException("the avx512 kernels are for x86-64 Linux, not " + system);
        }
        code(new Shape(VectorFourBitProduct.GROUP, true, 0));
        return new Avx512FourBitProduct(workers, new VectorFourBitProduct(workers));
    }

    @Override
    public boolean takes(DType dtype, long rowCount, long in, int blockSize) {
        return rows.takes(dtype, rowCount, in, blockSize);
    }

    @Override
    public void multiply(
            Tensor x, Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor y) {
        int in = Math.toIntExact(x.size(-1));
        if (x.count() > in || Integer.bitCount(blockSize) != 1) {
            rows.multiply(x, codes, scales, table, blockSize, y);
            return;
        }
        int out = Math.toIntExact(y.size(-1));
        int halves = in / VectorFourBitProduct.HALF;
        int blockShift = Integer.numberOfTrailingZeros(blockSize / VectorFourBitProduct.HALF);
        MethodHandle code = code(new Shape(in, scales.nestedAbsmax() != null, blockShift));
        long constants = constants(x, in, scales, table).address();
        long packed = codes.segment().address();
        long absmax = scales.absmax().segment().address();
        FloatRows target = FloatRows.of(y);
        workers.runLines(
                out,
                VectorFourBitProduct.TASK / in,
                (first, end) -> {
                    int lines = end - first;
                    float[] sums = FloatRows.scratch(lines);
                    call(
                            code,
                            packed + (long) first * in / 2,
                            absmax,
                            constants,
                            (long) first * halves,
                            sums,
                            lines);
                    for (int i = 0; i < lines; i++) {
                        target.set(first + i, sums[i]);
                    }
                });
    }

    private static void call(
            MethodHandle code,
            long codes,
            long absmax,
            long constants,
            long half,
            float[] sums,
            long lines) {
        try {
            code.invokeExact(codes, absmax, constants, half, MemorySegment.ofArray(sums), lines);
        } catch (Throwable e) { // machine code throws nothing
            throw new IllegalStateException(e);
        }
    }

    /** Levels, what decodes an absmax, and x in the order of the weights, zeros behind it. */
    private static MemorySegment constants(Tensor x, int in, BlockScales scales, CodeTable table) {
        int group = VectorFourBitProduct.GROUP;
        float[] laid =
                VectorFourBitProduct.layOut(FloatRows.of(x), 1, in, (in + group - 1) / group);
        MemorySegment room = CONSTANTS.get();
        long bytes = X_AT + (long) laid.length * Float.BYTES;
        if (room.byteSize() < bytes) {
            room = Arena.ofAuto().allocate(bytes, 64);
            CONSTANTS.set(room);
        }
        MemorySegment.copy(table.levels(), 0, room, JAVA_FLOAT, LEVELS_AT, 16);
        MemorySegment.copy(scales.map(), 0, room, JAVA_FLOAT, MAP_AT, scales.map().length);
        room.set(JAVA_FLOAT, OFFSET_AT, scales.offset());
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
    private static final int SUM = 2;
    private static final int PART = 3;
    private static final int SCALE = 4;
    private static final int NESTED = 5;
    private static final int EVEN = 6;
    private static final int ODD = 7;
    private static final int CODES = 16;
    private static final int LEVEL = 17;

    /** Lanes 8 … 15 hold the second half of a group. */
    private static final int UPPER = 1;

    // arguments, as the calling convention hands them over
    private static final Register CODES_AT = RDI;
    private static final Register ABSMAX = RSI;
    private static final Register CONSTANT = RDX;
    private static final Register HALF = RCX;
    private static final Register SUMS = R8;
    private static final Register LINES_LEFT = R9;

    private static final Register NESTED_ABSMAX = R10;
    private static final Register GROUPS_LEFT = R11;
    private static final Register X = RAX;
    private static final Register BLOCK = RBX;
    private static final Register CODE_OF_ABSMAX = RBP;

    /** Sums of neighbouring lines of W. */
    static byte[] assemble(Shape shape) {
        var a = new Avx512Assembler();
        a.push(BLOCK);
        a.push(CODE_OF_ABSMAX);
        a.mov(RAX, 0xFF00);
        a.kmovw(UPPER, RAX);
        a.vmovups(LEVELS, new Memory(CONSTANT, LEVELS_AT));
        a.vbroadcastss(OFFSET, 0, new Memory(CONSTANT, OFFSET_AT));
        a.mov(NESTED_ABSMAX, new Memory(CONSTANT, NESTED_AT));
        int line = a.here();
        a.vpxord(SUM, SUM, SUM);
        a.lea(X, new Memory(CONSTANT, X_AT));
        a.mov(GROUPS_LEFT, shape.in / VectorFourBitProduct.GROUP);
        int group = a.here();
        a.vmovdqu32(CODES, new Memory(CODES_AT, 0));
        a.prefetchnta(new Memory(CODES_AT, AHEAD));
        scale(a, shape, 0);
        scale(a, shape, 1);
        addProducts(a, shape);
        a.add(CODES_AT, VectorFourBitProduct.GROUP / 2);
        a.add(HALF, 2);
        a.add(X, VectorFourBitProduct.GROUP * Float.BYTES);
        a.dec(GROUPS_LEFT);
        a.jnz(group);
        if (shape.in % VectorFourBitProduct.GROUP != 0) { // then zeros follow x
            a.vmovdqu32Half(CODES, new Memory(CODES_AT, 0));
            scale(a, shape, 0);
            addProducts(a, shape);
            a.add(CODES_AT, VectorFourBitProduct.HALF / 2);
            a.add(HALF, 1);
        }
        sumOfLanes(a);
        a.vmovss(new Memory(SUMS, 0), SUM);
        a.add(SUMS, Float.BYTES);
        a.dec(LINES_LEFT);
        a.jnz(line);
        a.vzeroupper();
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
        a.lea(BLOCK, new Memory(HALF, which));
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

    /** Eight lookups and products; then their sum, scaled, to the sum of the line. */
    private static void addProducts(Avx512Assembler a, Shape shape) {
        if (shape.nested) {
            a.vmulps(SCALE, SCALE, NESTED);
            a.vaddps(SCALE, SCALE, OFFSET);
        }
        for (int k = 0; k < 8; k++) {
            int level = LEVEL + k;
            if (k == 0) {
                a.vpermps(level, CODES, LEVELS);
            } else {
                a.vpsrld(level, CODES, 4 * k);
                a.vpermps(level, level, LEVELS);
            }
            Memory x = new Memory(X, 64 * k);
            int part = k % 2 == 0 ? EVEN : ODD;
            if (k < 2) {
                a.vmulps(part, level, x);
            } else {
                a.vfmadd231ps(part, level, x);
            }
        }
        a.vaddps(EVEN, EVEN, ODD);
        a.vfmadd231ps(SUM, EVEN, SCALE);
    }

    /** In the order of {@link FloatRows#sum}. */
    private static void sumOfLanes(Avx512Assembler a) {
        a.vshuff32x4(PART, SUM, SUM, 0b01_00_11_10);
        a.vaddps(SUM, SUM, PART);
        a.vshuff32x4(PART, SUM, SUM, 0b10_11_00_01);
        a.vaddps(SUM, SUM, PART);
        a.vpermilps(PART, SUM, 0b01_00_11_10);
        a.vaddps(SUM, SUM, PART);
        a.vpermilps(PART, SUM, 0b10_11_00_01);
        a.vaddps(SUM, SUM, PART);
    }
}
