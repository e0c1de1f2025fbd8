package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class CpuReportTest {
    /** Shortened from an AMD EPYC with two processors. */
    private static final String X86 =
            """
            processor\t: 0
            vendor_id\t: AuthenticAMD
            model\t\t: 2
            model name\t: AMD EPYC 9655: 96-Core
            flags\t\t: fpu sse2 fma avx avx2 avx512f avx512_bf16 avx512vl

            processor\t: 1
            model name\t: other
            flags\t\t: amx_tile
            """;

    /** Shortened from an Arm Neoverse. */
    private static final String ARM =
            "processor\t: 0\nFeatures\t: fp asimd sve bf16\nCPU implementer\t: 0x41\n";

    @Test
    void x86_showsTheFirstProcessor() {
        assertThat(CpuReport.model(X86)).hasValue("AMD EPYC 9655: 96-Core");
        assertThat(CpuReport.features(X86)).isEqualTo("avx2 fma avx512f avx512vl avx512_bf16");
    }

    @Test
    void arm_hasFeaturesButNoName() {
        assertThat(CpuReport.model(ARM)).isEmpty();
        assertThat(CpuReport.features(ARM)).isEqualTo("asimd bf16 sve");
    }

    @Test
    void nothingTelling_isSaid() {
        assertThat(CpuReport.features("flags : fpu\n")).startsWith("none of sse4_1");
    }
}
