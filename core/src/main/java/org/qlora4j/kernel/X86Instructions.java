package org.qlora4j.kernel;

import java.io.ByteArrayOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * The x86-64 instructions that all kernels in machine code share: of general registers and the way
 * through the code. What writes vectors' instructions adds them ({@link Avx512Assembler}, {@link
 * Avx2Assembler}, {@link SseAssembler}). Names are those of Intel's manual (Software Developer's
 * Manual, volume 2).
 */
interface X86Instructions {
    /** The code so far, to be written on. */
    ByteArrayOutputStream written();

    /** What was written. */
    default byte[] code() {
        return written().toByteArray();
    }

    /** Appends a byte, its lowest 8 bits. */
    default void write(int b) {
        written().write(b);
    }

    /** Where the next instruction will lie, for {@link #jnz}. */
    default int here() {
        return written().size();
    }

    /** General registers, in the order of their numbers. */
    enum Register {
        RAX,
        RCX,
        RDX,
        RBX,
        RSP,
        RBP,
        RSI,
        RDI,
        R8,
        R9,
        R10,
        R11,
        R12
    }

    /**
     * An operand in memory.
     *
     * @param base not {@code RSP}; {@code R12} with an index alone
     * @param index added to the base {@code scale} times, not {@code RSP}
     * @param scale 1, 2, 4 or 8
     * @param offset added, in bytes
     */
    record Memory(Register base, @Nullable Register index, int scale, int offset) {
        public Memory {
            boolean escape = base == Register.R12 && index == null; // needs another encoding
            if (escape || base == Register.RSP || index == Register.RSP) {
                throw new IllegalArgumentException("no address of " + base + " and " + index);
            }
        }

        public Memory(Register base, int offset) {
            this(base, null, 1, offset);
        }
    }

    // ---- general registers

    default void mov(Register to, int value) {
        rex(false, 0, null, to);
        write(0xB8 | low(to));
        int32(value);
    }

    default void mov(Register to, Register from) {
        rex(true, from.ordinal(), null, to);
        bytes(0x89, 0xC0 | low(from) << 3 | low(to));
    }

    default void mov(Register to, Memory from) {
        rex(true, to.ordinal(), from.index, from.base);
        memory(0x8B, to.ordinal(), from, 1);
    }

    /** The address itself. */
    default void lea(Register to, Memory of) {
        rex(true, to.ordinal(), of.index, of.base);
        memory(0x8D, to.ordinal(), of, 1);
    }

    /** One byte, without sign. */
    default void movzx(Register to, Memory from) {
        rex(true, to.ordinal(), from.index, from.base);
        write(0x0F);
        memory(0xB6, to.ordinal(), from, 1);
    }

    default void add(Register to, int value) {
        rex(true, 0, null, to);
        bytes(0x81, 0xC0 | low(to));
        int32(value);
    }

    default void sub(Register to, Register value) {
        rex(true, value.ordinal(), null, to);
        bytes(0x29, 0xC0 | low(value) << 3 | low(to));
    }

    default void shl(Register register, int bits) {
        rex(true, 0, null, register);
        bytes(0xC1, 0xE0 | low(register), bits);
    }

    default void and(Register to, int value) {
        rex(true, 0, null, to);
        bytes(0x81, 0xE0 | low(to));
        int32(value);
    }

    default void shr(Register register, int bits) {
        rex(true, 0, null, register);
        bytes(0xC1, 0xE8 | low(register), bits);
    }

    default void dec(Register register) {
        rex(true, 0, null, register);
        bytes(0xFF, 0xC8 | low(register));
    }

    default void push(Register register) {
        rex(false, 0, null, register);
        write(0x50 | low(register));
    }

    default void pop(Register register) {
        rex(false, 0, null, register);
        write(0x58 | low(register));
    }

    /**
     * Asks for a cache line that is used once, ahead of its use; an address outside of all memory
     * does no harm.
     */
    default void prefetchnta(Memory at) {
        rex(false, 0, at.index, at.base);
        write(0x0F);
        memory(0x18, 0, at, 1);
    }

    // ---- the way

    /** Back to {@code target} unless the last {@link #dec} came to 0. */
    default void jnz(int target) {
        bytes(0x0F, 0x85);
        int32(target - (here() + Integer.BYTES));
    }

    default void ret() {
        write(0xC3);
    }

    private void rex(boolean wide, int reg, @Nullable Register index, Register base) {
        int x = index == null ? 0 : index.ordinal() >> 3;
        int rex = 0x40 | (wide ? 8 : 0) | reg >> 3 << 2 | x << 1 | base.ordinal() >> 3;
        if (rex != 0x40) {
            write(rex);
        }
    }

    /** Opcode, operands and offset, which is one byte where it is a small multiple of the unit. */
    default void memory(int opcode, int reg, Memory m, int unit) {
        int units = m.offset / unit;
        boolean none = m.offset == 0 && m.base != Register.RBP;
        boolean small = m.offset % unit == 0 && units == (byte) units;
        int mode = (none ? 0 : small ? 0x40 : 0x80) | (reg & 7) << 3;
        if (m.index == null) {
            bytes(opcode, mode | low(m.base));
        } else {
            int scale = Integer.numberOfTrailingZeros(m.scale);
            bytes(opcode, mode | 4, scale << 6 | low(m.index) << 3 | low(m.base));
        }
        if (none) {
            return;
        }
        if (small) {
            write(units);
        } else {
            int32(m.offset);
        }
    }

    static int low(Register register) {
        return register.ordinal() & 7;
    }

    private void int32(int value) {
        bytes(value, value >> 8, value >> 16, value >> 24);
    }

    default void bytes(int... bytes) {
        for (int b : bytes) {
            write(b);
        }
    }
}
