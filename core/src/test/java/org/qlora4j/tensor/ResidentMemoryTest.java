package org.qlora4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

class ResidentMemoryTest {
    private static final long BYTES = 64L << 20;

    @Test
    @EnabledOnOs(value = OS.LINUX, disabledReason = "read from /proc")
    void touchedNativeMemory_isSeen() {
        long before = ResidentMemory.current().orElseThrow();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment block = arena.allocate(BYTES).fill((byte) 1);
            assertThat(ResidentMemory.current().orElseThrow() - before)
                    .isBetween(BYTES * 9 / 10, BYTES * 2);
            assertThat(block.get(ValueLayout.JAVA_BYTE, BYTES - 1)).isEqualTo((byte) 1);
        }
        assertThat(ResidentMemory.peak().orElseThrow())
                .isGreaterThanOrEqualTo(before + BYTES * 9 / 10);
    }

    /** Lines of a Linux 6.18 /proc/self/status. */
    @Test
    void statusFile_isReadInBytes() {
        String status = "Name:\thead\nVmHWM:\t    1760 kB\nVmRSS:\t    1644 kB\nThreads:\t1\n";
        assertThat(ResidentMemory.parse(status, "VmRSS")).hasValue(1_683_456);
        assertThat(ResidentMemory.parse(status, "VmHWM")).hasValue(1_802_240);
        assertThat(ResidentMemory.parse(status, "VmSwap")).isEmpty();
        assertThat(ResidentMemory.parse("", "VmRSS")).isEmpty();
    }
}
