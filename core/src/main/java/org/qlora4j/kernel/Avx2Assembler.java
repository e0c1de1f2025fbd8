package org.qlora4j.kernel;

import java.io.ByteArrayOutputStream;

/**
 * Writes the machine code of {@link Avx2FourBitProduct}, {@link Avx2EightBitProduct} and {@link
 * WholeTiles}. Vectors are {@code ymm} registers 0 … 15, of 8 floats, and their lower halves {@code
 * xmm}.
 */
final class Avx2Assembler implements X86Vectors, TileVectors {
    /** The opcode maps and the prefixes that a VEX prefix stands for. */
    private static final int MAP_0F = 1;

    private static final int MAP_0F38 = 2;
    private static final int MAP_0F3A = 3;
    private static final int NO_PREFIX = 0;
    private static final int PREFIX_66 = 1;
    private static final int PREFIX_F3 = 2;
    private static final int XMM = 0;
    private static final int YMM = 1;

    private final ByteArrayOutputStream code;

    Avx2Assembler() {
        this(new ByteArrayOutputStream());
    }

    /** Writes on, behind what another has written. */
    Avx2Assembler(ByteArrayOutputStream code) {
        this.code = code;
    }

    @Override
    public ByteArrayOutputStream written() {
        return code;
    }

    @Override
    public int vectorBytes() {
        return AVX2;
    }

    // ---- vectors

    @Override
    public void vmovups(int to, Memory from) {
        memory(MAP_0F, NO_PREFIX, YMM, 0x10, to, 0, from);
    }

    @Override
    public void clear(int first, int count) {
        X86Vectors.super.clear(first, count);
    }

    @Override
    public void addProducts(int to, int a, int b, int product) {
        vpmaddwd(product, a, b);
        vpaddd(to, to, product);
    }

    @Override
    public void vmovups(Memory to, int from) {
        memory(MAP_0F, NO_PREFIX, YMM, 0x11, from, 0, to);
    }

    @Override
    public void vpmovsxbd(int to, Memory from) {
        memory(MAP_0F38, PREFIX_66, YMM, 0x21, to, 0, from);
    }

    @Override
    public void vcvtdq2ps(int to, int from) {
        registers(MAP_0F, NO_PREFIX, YMM, 0x5B, to, 0, from);
    }

    @Override
    public void vpxor(int to, int a, int b) {
        registers(MAP_0F, PREFIX_66, YMM, 0xEF, to, a, b);
    }

    @Override
    public void vpand(int to, int a, Memory b) {
        memory(MAP_0F, PREFIX_66, YMM, 0xDB, to, a, b);
    }

    @Override
    public void vpsrlw(int to, int from, int bits) {
        registers(MAP_0F, PREFIX_66, YMM, 0x71, 2, to, from);
        write(bits);
    }

    @Override
    public void vpshufb(int to, int table, int indices) {
        registers(MAP_0F38, PREFIX_66, YMM, 0x00, to, table, indices);
    }

    @Override
    public void vpunpcklbw(int to, int a, int b) {
        registers(MAP_0F, PREFIX_66, YMM, 0x60, to, a, b);
    }

    @Override
    public void vpunpckhbw(int to, int a, int b) {
        registers(MAP_0F, PREFIX_66, YMM, 0x68, to, a, b);
    }

    /** In each 16 bytes, the lower four 16-bit lanes of a and b in turns. */
    void vpunpcklwd(int to, int a, int b) {
        registers(MAP_0F, PREFIX_66, YMM, 0x61, to, a, b);
    }

    /** In each 16 bytes, the upper four 16-bit lanes of a and b in turns. */
    void vpunpckhwd(int to, int a, int b) {
        registers(MAP_0F, PREFIX_66, YMM, 0x69, to, a, b);
    }

    @Override
    public void vpmaddwd(int to, int a, Memory b) {
        memory(MAP_0F, PREFIX_66, YMM, 0xF5, to, a, b);
    }

    void vpmaddwd(int to, int a, int b) {
        registers(MAP_0F, PREFIX_66, YMM, 0xF5, to, a, b);
    }

    @Override
    public void vpaddd(int to, int a, int b) {
        registers(MAP_0F, PREFIX_66, YMM, 0xFE, to, a, b);
    }

    @Override
    public void vphaddd(int to, int a, int b) {
        registers(MAP_0F38, PREFIX_66, YMM, 0x02, to, a, b);
    }

    @Override
    public void addUpperHalf(int to, int other) {
        vextracti128(other, to);
        vpaddd(to, to, other);
    }

    /** The upper half of a vector; the upper half of the result becomes 0. */
    void vextracti128(int to, int from) {
        registers(MAP_0F3A, PREFIX_66, YMM, 0x39, from, 0, to);
        write(1);
    }

    @Override
    public void vinsertps(int to, int lane, Memory from) {
        memory(MAP_0F3A, PREFIX_66, XMM, 0x21, to, to, from);
        write(lane << 4);
    }

    @Override
    public void vaddps(int to, int a, int b) {
        registers(MAP_0F, NO_PREFIX, YMM, 0x58, to, a, b);
    }

    @Override
    public void vaddps(int to, int a, Memory b) {
        memory(MAP_0F, NO_PREFIX, YMM, 0x58, to, a, b);
    }

    @Override
    public void vmulps(int to, int a, int b) {
        registers(MAP_0F, NO_PREFIX, YMM, 0x59, to, a, b);
    }

    @Override
    public void vmulps(int to, int a, Memory b) {
        memory(MAP_0F, NO_PREFIX, YMM, 0x59, to, a, b);
    }

    @Override
    public void vfmadd231ps(int to, int a, int b) {
        registers(MAP_0F38, PREFIX_66, YMM, 0xB8, to, a, b);
    }

    @Override
    public void vfmadd231ps(int to, int a, Memory b) {
        memory(MAP_0F38, PREFIX_66, YMM, 0xB8, to, a, b);
    }

    @Override
    public void addLastProduct(int to, int a, Memory b) {
        vfmadd231ps(to, a, b);
    }

    @Override
    public void vfmadd213ps(int to, int a, Memory b) {
        memory(MAP_0F38, PREFIX_66, YMM, 0xA8, to, a, b);
    }

    @Override
    public void vbroadcastss(int to, Memory from) {
        memory(MAP_0F38, PREFIX_66, YMM, 0x18, to, 0, from);
    }

    /** The upper half of a vector. */
    void vextractf128(int to, int from) {
        registers(MAP_0F3A, PREFIX_66, YMM, 0x19, from, 0, to);
        write(1);
    }

    /** Adds lower halves alone. */
    void vaddpsOfHalves(int to, int a, int b) {
        registers(MAP_0F, NO_PREFIX, XMM, 0x58, to, a, b);
    }

    /** Moves floats within a lower half. */
    void vpermilpsOfHalf(int to, int from, int order) {
        registers(MAP_0F3A, PREFIX_66, XMM, 0x04, to, 0, from);
        write(order);
    }

    /** Stores the lowest lane. */
    void vmovss(Memory to, int from) {
        memory(MAP_0F, PREFIX_F3, XMM, 0x11, from, 0, to);
    }

    /** In each half, the lower two floats of a and b in turns. */
    void vunpcklps(int to, int a, int b) {
        registers(MAP_0F, NO_PREFIX, YMM, 0x14, to, a, b);
    }

    /** In each half, the upper two floats of a and b in turns. */
    void vunpckhps(int to, int a, int b) {
        registers(MAP_0F, NO_PREFIX, YMM, 0x15, to, a, b);
    }

    /** In each half, two floats of a and two of b, two bits of {@code order} for each. */
    void vshufps(int to, int a, int b, int order) {
        registers(MAP_0F, NO_PREFIX, YMM, 0xC6, to, a, b);
        write(order);
    }

    /** Two of the four halves of a and b, four bits of {@code halves} for each. */
    void vperm2f128(int to, int a, int b, int halves) {
        registers(MAP_0F3A, PREFIX_66, YMM, 0x06, to, a, b);
        write(halves);
    }

    /** Lanes i of the eight registers from {@code first} on to register i; all 16 are changed. */
    void turn(int first) {
        for (int i = 0; i < 8; i += 2) {
            vunpcklps(i, first + i, first + i + 1);
            vunpckhps(i + 1, first + i, first + i + 1);
        }
        for (int i = 0; i < 8; i++) {
            int pair = i / 4 * 4 + i % 4 / 2;
            vshufps(first + i, pair, pair + 2, i % 2 == 0 ? 0b01_00_01_00 : 0b11_10_11_10);
        }
        for (int i = 0; i < 8; i++) {
            vperm2f128(i, first + i % 4, first + 4 + i % 4, i < 4 ? 0x20 : 0x31);
        }
    }

    @Override
    public void appendSums(Register to, int sums, int other, int count) {
        for (int sum = sums; sum < sums + count; sum++) {
            vextractf128(other, sum);
            vaddpsOfHalves(sum, sum, other);
            vpermilpsOfHalf(other, sum, 0b01_00_11_10);
            vaddpsOfHalves(sum, sum, other);
            vpermilpsOfHalf(other, sum, 0b10_11_00_01);
            vaddpsOfHalves(sum, sum, other);
            vmovss(new Memory(to, (sum - sums) * Float.BYTES), sum);
        }
        add(to, count * Float.BYTES);
    }

    @Override
    public void vzeroupper() {
        bytes(0xC5, 0xF8, 0x77);
    }

    // ---- encoding

    private void registers(int map, int prefix, int length, int opcode, int reg, int vvvv, int rm) {
        vex(map, prefix, length, reg, vvvv, 0, rm >> 3);
        bytes(opcode, 0xC0 | (reg & 7) << 3 | rm & 7);
    }

    private void memory(int map, int prefix, int length, int opcode, int reg, int vvvv, Memory m) {
        int x = m.index() == null ? 0 : m.index().ordinal() >> 3;
        vex(map, prefix, length, reg, vvvv, x, m.base().ordinal() >> 3);
        memory(opcode, reg, m, 1);
    }

    /** Two bytes before the opcode, or three; the upper bits of register numbers stand inverted. */
    private void vex(int map, int prefix, int length, int reg, int vvvv, int x, int b) {
        int r = ~(reg >> 3) << 7 & 0x80;
        int last = ~vvvv << 3 & 0x78 | length << 2 | prefix;
        if (map == MAP_0F && x == 0 && b == 0) {
            bytes(0xC5, r | last);
        } else {
            bytes(0xC4, r | ~x << 6 & 0x40 | ~b << 5 & 0x20 | map, last);
        }
    }
}
