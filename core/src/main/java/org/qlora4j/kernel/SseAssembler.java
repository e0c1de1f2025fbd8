package org.qlora4j.kernel;

import java.io.ByteArrayOutputStream;

/**
 * Writes machine code for vectors of 128 bits, up to SSE4.1: {@code xmm} registers 0 … 15, of 4
 * floats. An instruction of SSE changes its first operand, so what AVX does in one may take two.
 */
final class SseAssembler implements X86Vectors {
    /** The register that products are made in before they are added. */
    static final int SPARE = 0;

    private static final int NO_PREFIX = 0;
    private static final int PREFIX_66 = 0x66;
    private static final int PREFIX_F3 = 0xF3;

    /** With an opcode, says that it is of the map 0F 38, or 0F 3A. */
    private static final int MAP_0F38 = 0x3800;

    private static final int MAP_0F3A = 0x3A00;

    private final ByteArrayOutputStream code = new ByteArrayOutputStream();

    @Override
    public ByteArrayOutputStream written() {
        return code;
    }

    @Override
    public int vectorBytes() {
        return SSE;
    }

    // ---- vectors

    @Override
    public void vmovups(int to, Memory from) {
        memory(NO_PREFIX, 0x10, to, from);
    }

    @Override
    public void vpmovsxbd(int to, Memory from) {
        memory(PREFIX_66, MAP_0F38 | 0x21, to, from);
    }

    @Override
    public void vcvtdq2ps(int to, int from) {
        registers(NO_PREFIX, 0x5B, to, from);
    }

    @Override
    public void vpxor(int to, int a, int b) {
        operate(PREFIX_66, 0xEF, to, a, b);
    }

    @Override
    public void vpand(int to, int a, Memory b) {
        copy(to, a);
        memory(PREFIX_66, 0xDB, to, b);
    }

    @Override
    public void vpsrlw(int to, int from, int bits) {
        copy(to, from);
        registers(PREFIX_66, 0x71, 2, to);
        write(bits);
    }

    @Override
    public void vpshufb(int to, int table, int indices) {
        operate(PREFIX_66, MAP_0F38, to, table, indices);
    }

    @Override
    public void vpunpcklbw(int to, int a, int b) {
        operate(PREFIX_66, 0x60, to, a, b);
    }

    @Override
    public void vpunpckhbw(int to, int a, int b) {
        operate(PREFIX_66, 0x68, to, a, b);
    }

    @Override
    public void vpmaddwd(int to, int a, Memory b) {
        copy(to, a);
        memory(PREFIX_66, 0xF5, to, b);
    }

    @Override
    public void vpaddd(int to, int a, int b) {
        operate(PREFIX_66, 0xFE, to, a, b);
    }

    @Override
    public void vphaddd(int to, int a, int b) {
        operate(PREFIX_66, MAP_0F38 | 0x02, to, a, b);
    }

    /** There is none. */
    @Override
    public void addUpperHalf(int to, int other) {}

    @Override
    public void vinsertps(int to, int lane, Memory from) {
        memory(PREFIX_66, MAP_0F3A | 0x21, to, from);
        write(lane << 4);
    }

    @Override
    public void vaddps(int to, int a, int b) {
        operate(NO_PREFIX, 0x58, to, a, b);
    }

    @Override
    public void vaddps(int to, int a, Memory b) {
        copy(to, a);
        memory(NO_PREFIX, 0x58, to, b);
    }

    @Override
    public void vmulps(int to, int a, int b) {
        operate(NO_PREFIX, 0x59, to, a, b);
    }

    @Override
    public void vmulps(int to, int a, Memory b) {
        vmovups(to, b);
        vmulps(to, to, a);
    }

    @Override
    public void vfmadd231ps(int to, int a, int b) {
        vmulps(SPARE, a, b);
        vaddps(to, to, SPARE);
    }

    @Override
    public void vfmadd231ps(int to, int a, Memory b) {
        vmulps(SPARE, a, b);
        vaddps(to, to, SPARE);
    }

    @Override
    public void addLastProduct(int to, int a, Memory b) {
        memory(NO_PREFIX, 0x59, a, b);
        vaddps(to, to, a);
    }

    @Override
    public void vbroadcastss(int to, Memory from) {
        memory(PREFIX_F3, 0x10, to, from);
        registers(NO_PREFIX, 0xC6, to, to); // shufps
        write(0);
    }

    @Override
    public void appendSums(Register to, int sums, int other, int count) {
        for (int sum = sums; sum < sums + count; sum++) {
            pshufd(other, sum, 0b01_00_11_10);
            vaddps(sum, sum, other);
            pshufd(other, sum, 0b10_11_00_01);
            vaddps(sum, sum, other);
            movss(new Memory(to, (sum - sums) * Float.BYTES), sum);
        }
        add(to, count * Float.BYTES);
    }

    /** Moves 32-bit lanes. */
    void pshufd(int to, int from, int order) {
        registers(PREFIX_66, 0x70, to, from);
        write(order);
    }

    /** Stores the lowest lane. */
    void movss(Memory to, int from) {
        memory(PREFIX_F3, 0x11, from, to);
    }

    /** There are none wider, so nothing. */
    @Override
    public void vzeroupper() {}

    // ---- encoding

    /** As an instruction of three operands, whose result may take the place of the first alone. */
    private void operate(int prefix, int opcode, int to, int a, int b) {
        if (to == b && to != a) {
            throw new IllegalArgumentException("operand " + b + " would be overwritten");
        }
        copy(to, a);
        registers(prefix, opcode, to, b);
    }

    private void copy(int to, int from) {
        if (to != from) {
            registers(NO_PREFIX, 0x28, to, from); // movaps
        }
    }

    private void registers(int prefix, int opcode, int reg, int rm) {
        start(prefix, opcode, reg, 0, rm >> 3);
        bytes(opcode & 0xFF, 0xC0 | (reg & 7) << 3 | rm & 7);
    }

    private void memory(int prefix, int opcode, int reg, Memory m) {
        int x = m.index() == null ? 0 : m.index().ordinal() >> 3;
        start(prefix, opcode, reg, x, m.base().ordinal() >> 3);
        memory(opcode & 0xFF, reg, m, 1);
    }

    /** What stands before the last byte of the opcode; the upper bits of register numbers too. */
    private void start(int prefix, int opcode, int reg, int x, int b) {
        if (prefix != NO_PREFIX) {
            write(prefix);
        }
        int rex = 0x40 | reg >> 3 << 2 | x << 1 | b;
        if (rex != 0x40) {
            write(rex);
        }
        write(0x0F);
        if (opcode >> 8 != 0) {
            write(opcode >> 8);
        }
    }
}
