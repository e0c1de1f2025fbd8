package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CpuFeaturesTest {
    @ParameterizedTest
    @CsvSource({
        "fpu sse2 avx512f avx512_bf16 clzero, true",
        "fpu amx_bf16 avx_vnni amx_tile, true",
        "fpu sse2 avx2 avx512f avx512_vnni, false",
        "fpu avx512_bf16x, false",
    })
    void flags_decide(String flags, boolean bf16) {
        String cpuinfo = "processor\t: 0\nflags\t\t: " + flags + "\n\nprocessor\t: 1\n";
        assertThat(CpuFeatures.hasBf16(cpuinfo)).isEqualTo(bf16);
    }

    @ParameterizedTest
    @CsvSource({"''", "'Features\t: fp asimd bf16\n'"})
    void otherSystems_haveNone(String cpuinfo) {
        assertThat(CpuFeatures.hasBf16(cpuinfo)).isFalse();
    }
}
