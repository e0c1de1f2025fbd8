package org.qlora4j.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.qlora4j.error.ConfigException;

class CpuFeaturesTest {
    private static final String AVX512 = "sse2 avx2 fma f16c avx512f avx512bw avx512dq avx512vl";

    @ParameterizedTest
    @CsvSource({
        AVX512 + " avx512_bf16 clzero, avx512 with bf16",
        AVX512 + " amx_bf16 avx_vnni amx_tile, avx512 with bf16",
        AVX512 + " avx512_vnni, avx512",
        AVX512 + " avx512_bf16x, avx512",
        "sse2 avx2 fma f16c avx512f, avx2", // the first Xeon Phi
        "sse2 avx2 fma f16c, avx2",
        "sse2 avx f16c, sse",
    })
    void flags_decide(String flags, String set) {
        String cpuinfo = "processor\t: 0\nflags\t\t: " + flags + "\n\nprocessor\t: 1\n";
        assertThat(CpuFeatures.of(cpuinfo).describe()).isEqualTo(set);
    }

    @ParameterizedTest
    @CsvSource({"sse2 ssse3 sse4_1 sse4_2, true", "sse2 ssse3 sse4a, false", "sse4_1, false"})
    void sse41_needsTheShufflesOfBytesToo(String flags, boolean has) {
        CpuFeatures cpu = CpuFeatures.of("flags\t\t: " + flags + "\n");
        assertThat(cpu.sse41()).isEqualTo(has);
        assertThat(cpu.within(InstructionSet.SSE)).isEqualTo(cpu);
    }

    @ParameterizedTest
    @CsvSource({"''", "'Features\t: fp asimd bf16\n'"})
    void otherSystems_haveNone(String cpuinfo) {
        assertThat(CpuFeatures.of(cpuinfo))
                .isEqualTo(new CpuFeatures(false, false, false, false, false));
    }

    @ParameterizedTest
    @CsvSource({
        "native, avx512 with bf16, avx2",
        "avx512, avx512, avx2",
        "avx2, avx2, avx2",
        "sse, sse, sse",
    })
    void limit_isAnUpperOne(String word, String ofLarge, String ofSmall) {
        InstructionSet limit = InstructionSet.of(word);
        assertThat(new CpuFeatures(true, true, true, true, true).within(limit).describe())
                .isEqualTo(ofLarge);
        assertThat(new CpuFeatures(true, true, false, false, false).within(limit).describe())
                .isEqualTo(ofSmall);
    }

    @Test
    void noLimit_isNative() {
        assertThat(InstructionSet.of(null)).isEqualTo(InstructionSet.NATIVE);
        assertThat(InstructionSet.of("")).isEqualTo(InstructionSet.NATIVE);
    }

    @ParameterizedTest
    @CsvSource({"AVX2", "avx", "neon"})
    void otherWord_isOneLineWithTheKnownOnes(String word) {
        assertThatThrownBy(() -> InstructionSet.of(word))
                .isInstanceOf(ConfigException.class)
                .hasMessage(
                        "QLORA_CPU must be native, avx512, avx2, sse, got '%s'".formatted(word));
    }

    @ParameterizedTest
    @EnumSource
    void words_areReadAgain(InstructionSet set) {
        assertThat(InstructionSet.of(set.word())).isEqualTo(set);
    }

    /** ATen chose among its own variants when it was loaded; it names them in capitals. */
    @Test
    void libtorch_isHeldDownToo() {
        assumeTrue("amd64".equals(System.getProperty("os.arch")), "of x86-64");
        String aten =
                switch (CpuFeatures.current().set()) {
                    case SSE -> "DEFAULT";
                    case AVX2 -> "AVX2";
                    case AVX512, NATIVE -> "AVX512";
                };
        assertThat(Engine.cpuCapability()).isEqualTo(aten);
    }
}
