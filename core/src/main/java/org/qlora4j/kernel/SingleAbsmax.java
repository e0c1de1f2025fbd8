package org.qlora4j.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.Tensor;

/** Decodes one absmax at a time. */
record SingleAbsmax(
        MemorySegment absmax, @Nullable MemorySegment nested, float[] map, float offset) {
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;

    static SingleAbsmax of(BlockScales scales) {
        Tensor nested = scales.nestedAbsmax();
        return new SingleAbsmax(
                scales.absmax().segment(),
                nested == null ? null : nested.segment(),
                scales.map(),
                scales.offset());
    }

    float at(long block) {
        if (nested == null) {
            return absmax.getAtIndex(FLOAT, block);
        }
        float value = map[absmax.get(BYTE, block) & 0xFF];
        return value * nested.getAtIndex(FLOAT, block / BlockScales.NESTED_BLOCK) + offset;
    }
}
