package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;
import org.qlora4j.kernel.X86Instructions.Register;
import org.qlora4j.tensor.Tensor;

/**
 * What machine code decodes the absmax of a 4-bit weight with, in its constants.
 *
 * @param at where it begins, a multiple of 32 bytes
 */
record ScaleConstants(int at) {
    private static final int VECTOR = 32;

    /** The offset of absmax, eight times. */
    int offsetAt() {
        return at;
    }

    /** The address of the absmax, or of their codes. */
    int absmaxAt() {
        return at + VECTOR;
    }

    /** The address of the absmax of groups of absmax, or 0. */
    int nestedAt() {
        return absmaxAt() + Long.BYTES;
    }

    /** What the code of an absmax stands for. */
    int mapAt() {
        return at + 2 * VECTOR;
    }

    int end() {
        return mapAt() + MachineLines.MAP_LENGTH * Float.BYTES;
    }

    void write(BlockScales scales, MemorySegment constants) {
        for (int i = 0; i < VECTOR; i += Float.BYTES) {
            constants.set(JAVA_FLOAT, offsetAt() + i, scales.offset());
        }
        Tensor nested = scales.nestedAbsmax();
        constants.set(JAVA_LONG, absmaxAt(), scales.absmax().segment().address());
        constants.set(JAVA_LONG, nestedAt(), nested == null ? 0 : nested.segment().address());
        MemorySegment.copy(scales.map(), 0, constants, JAVA_FLOAT, mapAt(), scales.map().length);
    }

    /** Loads both addresses. */
    void load(X86Instructions a, Register constants, Register absmax, Register nested) {
        a.mov(absmax, new X86Instructions.Memory(constants, absmaxAt()));
        a.mov(nested, new X86Instructions.Memory(constants, nestedAt()));
    }

    /** The number of a group, so many behind the next, shifted. */
    static void block(X86Instructions a, Register block, Register next, int behind, int shift) {
        a.lea(block, new X86Instructions.Memory(next, behind));
        if (shift > 0) {
            a.shr(block, shift);
        }
    }
}
