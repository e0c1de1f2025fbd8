package org.qlora4j.kernel;

import java.io.ByteArrayOutputStream;

/**
 * Writes x86-64 machine code: the few instructions that {@link Avx512FourBitProduct} and {@link
 * Avx512EightBitProduct} are made of, by their names in Intel's manual (Software Developer's
 * Manual, volume 2). Vectors are {@code zmm} registers 0 … 31, of 16 floats.
 */
final class Avx512Assembler implements TileVectors {
    /** The opcode maps and the prefixes that an EVEX prefix stands for. */
    private static final int MAP_0F = 1;

    private static final int MAP_0F38 = 2;
    private static final int MAP_0F3A = 3;
    private static final int NO_PREFIX = 0;
    private static final int PREFIX_66 = 1;
    private static final int PREFIX_F3 = 2;
    private static final int LENGTH_128 = 0;
    private static final int LENGTH_512 = 2 << 5;

    /** Bytes of a whole vector and of one float: the units of short offsets. */
    private static final int VECTOR = 64;

    private static final int FLOAT = 4;

    /** Most rows of x at once, so that what belongs to each stays in registers. */
    static final int ROWS = 8;

    /** Bytes of x at once: the first cache of Intel's CPUs since Ice Lake and of Zen 5. */
    private static final int CACHE = 48 << 10;

    /** With a prefix, says that lanes are wide. */
    private static final int W = 0x80;

    private final ByteArrayOutputStream code = new ByteArrayOutputStream();
    private final boolean vnni;

    /**
     * @param vnni whether products may be added by an instruction of AVX512-VNNI
     */
    Avx512Assembler(boolean vnni) {
        this.vnni = vnni;
    }

    /** Rows of x, of so many bytes each, that registers and the first cache hold at once. */
    static int rowsAtOnce(int rowBytes) {
        return Math.clamp(CACHE / rowBytes, 1, ROWS);
    }

    @Override
    public ByteArrayOutputStream written() {
        return code;
    }

    // ---- vectors

    void vmovdqu32(int to, Memory from) {
        evex(MAP_0F, PREFIX_F3, to, 0, 0, from);
        memory(0x6F, to, from, VECTOR);
    }

    /**
     * The lower half of a vector; the upper becomes 0.
     *
     * @param to 0 … 7
     * @param from with a base of the first eight registers
     */
    void vmovdqu(int to, Memory from) {
        if (to > 7 || from.base().ordinal() > 7 || from.index() != null) {
            throw new IllegalArgumentException("no short prefix for " + to + " and " + from);
        }
        bytes(0xC5, 0xFE);
        memory(0x6F, to, from, 1);
    }

    @Override
    public void vmovups(int to, Memory from) {
        evex(MAP_0F, NO_PREFIX, to, 0, 0, from);
        memory(0x10, to, from, VECTOR);
    }

    @Override
    public void vmovups(Memory to, int from) {
        evex(MAP_0F, NO_PREFIX, from, 0, 0, to);
        memory(0x11, from, to, VECTOR);
    }

    /** 16 bytes with signs to 32-bit lanes. */
    void vpmovsxbd(int to, Memory from) {
        evex(MAP_0F38, PREFIX_66, to, 0, 0, from);
        memory(0x21, to, from, VECTOR / 4);
    }

    @Override
    public void vcvtdq2ps(int to, int from) {
        registers(MAP_0F, NO_PREFIX, 0x5B, to, 0, from);
    }

    @Override
    public void clear(int first, int count) {
        for (int to = first; to < first + count; to++) {
            vpxord(to, to, to);
        }
    }

    void vpxord(int to, int a, int b) {
        registers(MAP_0F, PREFIX_66, 0xEF, to, a, b);
    }

    /** Each 16-bit lane shifted right, zeros moved in. */
    void vpsrlw(int to, int from, int bits) {
        registers(MAP_0F, PREFIX_66, 0x71, 2, to, from);
        write(bits);
    }

    /** 16-bit lane i of {@code to} is the lane of {@code table} of the low 5 bits of index i. */
    void vpermw(int to, int indices, int table) {
        registers(MAP_0F38, PREFIX_66 | W, 0x8D, to, indices, table);
    }

    @Override
    public void addProducts(int to, int a, int b, int product) {
        if (vnni) {
            registers(MAP_0F38, PREFIX_66, 0x52, to, a, b); // vpdpwssd
        } else {
            vpmaddwd(product, a, b);
            vpaddd(to, to, product);
        }
    }

    /** The same. */
    void addProducts(int to, int a, Memory b, int product) {
        if (vnni) {
            evex(MAP_0F38, PREFIX_66, to, a, 0, b);
            memory(0x52, to, b, VECTOR);
        } else {
            vpmaddwd(product, a, b);
            vpaddd(to, to, product);
        }
    }

    void vpmaddwd(int to, int a, int b) {
        registers(MAP_0F, PREFIX_66, 0xF5, to, a, b);
    }

    void vpmaddwd(int to, int a, Memory b) {
        evex(MAP_0F, PREFIX_66, to, a, 0, b);
        memory(0xF5, to, b, VECTOR);
    }

    /** Sums of whole numbers. */
    void vpaddd(int to, int a, int b) {
        registers(MAP_0F, PREFIX_66, 0xFE, to, a, b);
    }

    void vaddps(int to, int a, int b) {
        registers(MAP_0F, NO_PREFIX, 0x58, to, a, b);
    }

    void vmulps(int to, int a, int b) {
        registers(MAP_0F, NO_PREFIX, 0x59, to, a, b);
    }

    @Override
    public void vmulps(int to, int a, Memory b) {
        evex(MAP_0F, NO_PREFIX, to, a, 0, b);
        memory(0x59, to, b, VECTOR);
    }

    /** {@code to += a * b}, rounded once. */
    void vfmadd231ps(int to, int a, int b) {
        registers(MAP_0F38, PREFIX_66, 0xB8, to, a, b);
    }

    @Override
    public void vfmadd213ps(int to, int a, Memory b) {
        evex(MAP_0F38, PREFIX_66, to, a, 0, b);
        memory(0xA8, to, b, VECTOR);
    }

    void vfmadd231ps(int to, int a, Memory b) {
        evex(MAP_0F38, PREFIX_66, to, a, 0, b);
        memory(0xB8, to, b, VECTOR);
    }

    /**
     * One float to all lanes.
     *
     * @param mask register 1 … 7 with a bit for each lane to write; 0 writes all
     */
    void vbroadcastss(int to, int mask, Memory from) {
        evex(MAP_0F38, PREFIX_66, to, 0, mask, from);
        memory(0x18, to, from, FLOAT);
    }

    @Override
    public void vbroadcastss(int to, Memory from) {
        vbroadcastss(to, 0, from);
    }

    /** Moves quarters: two from a, then two from b. */
    void vshuff32x4(int to, int a, int b, int order) {
        registers(MAP_0F3A, PREFIX_66, 0x23, to, a, b);
        write(order);
    }

    /** Moves floats within each quarter. */
    void vpermilps(int to, int from, int order) {
        registers(MAP_0F3A, PREFIX_66, 0x04, to, 0, from);
        write(order);
    }

    /** All lanes get the sum of all, added in the order of {@link FloatMemory#sum}. */
    void sumOfLanes(int sum, int other) {
        vshuff32x4(other, sum, sum, 0b01_00_11_10);
        vaddps(sum, sum, other);
        vshuff32x4(other, sum, sum, 0b10_11_00_01);
        vaddps(sum, sum, other);
        vpermilps(other, sum, 0b01_00_11_10);
        vaddps(sum, sum, other);
        vpermilps(other, sum, 0b10_11_00_01);
        vaddps(sum, sum, other);
    }

    /** Stores the lowest lane. */
    void vmovss(Memory to, int from) {
        evex(MAP_0F, PREFIX_F3, LENGTH_128, from, 0, 0, to);
        memory(0x11, from, to, FLOAT);
    }

    /**
     * Stores the sum of the lanes of each of {@code count} registers, one behind the other, and
     * moves {@code to} behind them.
     *
     * @param others as many registers, written over
     */
    void appendSums(Register to, int sums, int others, int count) {
        for (int i = 0; i < count; i++) {
            sumOfLanes(sums + i, others + i);
            vmovss(new Memory(to, i * Float.BYTES), sums + i);
        }
        add(to, count * Float.BYTES);
    }

    /** Before code that knows nothing of wide vectors goes on. */
    void vzeroupper() {
        bytes(0xC5, 0xF8, 0x77);
    }

    /** Bits of a mask register from a general one. */
    void kmovw(int mask, Register from) {
        if (from.ordinal() > 7) {
            throw new IllegalArgumentException("no short prefix for " + from);
        }
        bytes(0xC5, 0xF8, 0x92, 0xC0 | mask << 3 | X86Instructions.low(from));
    }

    // ---- encoding

    /** An instruction of vectors in registers. */
    private void registers(int map, int prefix, int opcode, int reg, int vvvv, int rm) {
        evex(map, prefix, LENGTH_512, reg, vvvv, 0, rm >> 3 & 1, rm >> 4 & 1);
        bytes(opcode, 0xC0 | (reg & 7) << 3 | rm & 7);
    }

    private void evex(int map, int prefix, int reg, int vvvv, int mask, Memory m) {
        evex(map, prefix, LENGTH_512, reg, vvvv, mask, m);
    }

    private void evex(int map, int prefix, int length, int reg, int vvvv, int mask, Memory m) {
        int x = m.index() == null ? 0 : m.index().ordinal() >> 3;
        evex(map, prefix, length, reg, vvvv, mask, m.base().ordinal() >> 3, x);
    }

    /** The four bytes before the opcode; the upper bits of register numbers stand inverted. */
    private void evex(int map, int prefix, int length, int reg, int vvvv, int mask, int b, int x) {
        bytes(
                0x62,
                ~(reg >> 3 & 1) << 7 & 0x80
                        | ~x << 6 & 0x40
                        | ~b << 5 & 0x20
                        | ~(reg >> 4 & 1) << 4 & 0x10
                        | map,
                ~vvvv << 3 & 0x78 | 4 | prefix,
                length | ~(vvvv >> 4) << 3 & 8 | mask);
    }
}
