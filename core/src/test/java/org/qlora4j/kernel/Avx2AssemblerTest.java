package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.argumentSet;
import static org.qlora4j.kernel.X86Instructions.Register.*;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.kernel.X86Instructions.Memory;

/** Beside the GNU assembler, whose code make_assembler_reference.py wrote to avx2.txt. */
class Avx2AssemblerTest {
    private static final Map<String, String> GNU = read("avx2.txt");

    /** Machine code by instruction. */
    static Map<String, String> read(String file) {
        try (InputStream in = Avx2AssemblerTest.class.getResourceAsStream(file)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8)
                    .lines()
                    .filter(line -> !line.startsWith("#"))
                    .map(line -> line.split("\t"))
                    .collect(Collectors.toMap(f -> f[1], f -> f[0]));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @ParameterizedTest
    @MethodSource("instructions")
    void instruction_isThatOfTheGnuAssembler(String instruction, Consumer<Avx2Assembler> written) {
        var assembler = new Avx2Assembler();
        written.accept(assembler);
        assertThat(HexFormat.of().formatHex(assembler.code())).isEqualTo(GNU.get(instruction));
    }

    @Test
    void everyInstructionOfTheFile_isCompared() {
        assertThat(instructions().map(a -> a.get()[0]))
                .containsExactlyInAnyOrderElementsOf(GNU.keySet());
    }

    private static Arguments of(String instruction, Consumer<Avx2Assembler> written) {
        return argumentSet(instruction, instruction, written);
    }

    static Stream<Arguments> instructions() {
        return Stream.of(
                of("vmovups ymm0, [rsi]", a -> a.vmovups(0, new Memory(RSI, 0))),
                of("vmovups ymm3, [rsi+96]", a -> a.vmovups(3, new Memory(RSI, 96))),
                of("vmovups ymm9, [rdi]", a -> a.vmovups(9, new Memory(RDI, 0))),
                of("vmovups ymm14, [r9+rbx*8-64]", a -> a.vmovups(14, new Memory(R9, RBX, 8, -64))),
                of("vmovups ymm4, [rbp]", a -> a.vmovups(4, new Memory(RBP, 0))),
                of("vmovups [r8+128], ymm4", a -> a.vmovups(new Memory(R8, 128), 4)),
                of("vmovups [rdx], ymm13", a -> a.vmovups(new Memory(RDX, 0), 13)),
                of(
                        "vfmadd213ps ymm3, ymm14, [rbp+96]",
                        a -> a.vfmadd213ps(3, 14, new Memory(RBP, 96))),
                of(
                        "vfmadd213ps ymm11, ymm2, [r12+rbx*4]",
                        a -> a.vfmadd213ps(11, 2, new Memory(R12, RBX, 4, 0))),
                of("vpmovsxbd ymm1, qword ptr [rdi]", a -> a.vpmovsxbd(1, new Memory(RDI, 0))),
                of("vpmovsxbd ymm12, qword ptr [r9+40]", a -> a.vpmovsxbd(12, new Memory(R9, 40))),
                of("vcvtdq2ps ymm1, ymm1", a -> a.vcvtdq2ps(1, 1)),
                of("vcvtdq2ps ymm14, ymm13", a -> a.vcvtdq2ps(14, 13)),
                of("vpxor ymm13, ymm13, ymm13", a -> a.vpxor(13, 13, 13)),
                of("vpxor ymm2, ymm14, ymm5", a -> a.vpxor(2, 14, 5)),
                of("vpand ymm7, ymm9, [rsi+128]", a -> a.vpand(7, 9, new Memory(RSI, 128))),
                of("vpand ymm12, ymm3, [r8]", a -> a.vpand(12, 3, new Memory(R8, 0))),
                of("vpsrlw ymm9, ymm9, 4", a -> a.vpsrlw(9, 9, 4)),
                of("vpsrlw ymm2, ymm12, 11", a -> a.vpsrlw(2, 12, 11)),
                of("vpshufb ymm4, ymm0, ymm7", a -> a.vpshufb(4, 0, 7)),
                of("vpshufb ymm13, ymm11, ymm10", a -> a.vpshufb(13, 11, 10)),
                of("vpunpcklbw ymm8, ymm4, ymm5", a -> a.vpunpcklbw(8, 4, 5)),
                of("vpunpcklbw ymm3, ymm12, ymm14", a -> a.vpunpcklbw(3, 12, 14)),
                of("vpunpckhbw ymm4, ymm4, ymm5", a -> a.vpunpckhbw(4, 4, 5)),
                of("vpunpckhbw ymm10, ymm2, ymm15", a -> a.vpunpckhbw(10, 2, 15)),
                of("vpunpcklwd ymm7, ymm8, ymm5", a -> a.vpunpcklwd(7, 8, 5)),
                of("vpunpcklwd ymm1, ymm9, ymm11", a -> a.vpunpcklwd(1, 9, 11)),
                of("vpunpckhwd ymm8, ymm8, ymm5", a -> a.vpunpckhwd(8, 8, 5)),
                of("vpunpckhwd ymm15, ymm3, ymm12", a -> a.vpunpckhwd(15, 3, 12)),
                of("vpmaddwd ymm10, ymm8, [rax+64]", a -> a.vpmaddwd(10, 8, new Memory(RAX, 64))),
                of(
                        "vpmaddwd ymm3, ymm12, [r9+rbx*8-64]",
                        a -> a.vpmaddwd(3, 12, new Memory(R9, RBX, 8, -64))),
                of("vpmaddwd ymm15, ymm14, ymm12", a -> a.vpmaddwd(15, 14, 12)),
                of("vpmaddwd ymm7, ymm9, ymm2", a -> a.vpmaddwd(7, 9, 2)),
                of("vpaddd ymm11, ymm11, ymm15", a -> a.vpaddd(11, 11, 15)),
                of("vpaddd ymm2, ymm9, ymm6", a -> a.vpaddd(2, 9, 6)),
                of("vphaddd ymm12, ymm8, ymm10", a -> a.vphaddd(12, 8, 10)),
                of("vphaddd ymm5, ymm4, ymm13", a -> a.vphaddd(5, 4, 13)),
                of("vextracti128 xmm7, ymm12, 1", a -> a.vextracti128(7, 12)),
                of("vextracti128 xmm10, ymm3, 1", a -> a.vextracti128(10, 3)),
                of(
                        "vinsertps xmm4, xmm4, dword ptr [r12+rcx*4+8], 0x20",
                        a -> a.vinsertps(4, 2, new Memory(R12, RCX, 4, 8))),
                of(
                        "vinsertps xmm13, xmm13, dword ptr [rsi+rbp*4+160], 0x30",
                        a -> a.vinsertps(13, 3, new Memory(RSI, RBP, 4, 160))),
                of("vaddps ymm4, ymm4, ymm5", a -> a.vaddps(4, 4, 5)),
                of("vaddps ymm11, ymm1, ymm14", a -> a.vaddps(11, 1, 14)),
                of("vaddps ymm4, ymm4, [rsi+160]", a -> a.vaddps(4, 4, new Memory(RSI, 160))),
                of("vaddps ymm9, ymm12, [r10]", a -> a.vaddps(9, 12, new Memory(R10, 0))),
                of("vmulps ymm4, ymm4, ymm5", a -> a.vmulps(4, 4, 5)),
                of("vmulps ymm9, ymm10, ymm13", a -> a.vmulps(9, 10, 13)),
                of("vmulps ymm10, ymm7, [rax]", a -> a.vmulps(10, 7, new Memory(RAX, 0))),
                of("vmulps ymm12, ymm8, [r10+4608]", a -> a.vmulps(12, 8, new Memory(R10, 4608))),
                of("vfmadd231ps ymm13, ymm10, ymm4", a -> a.vfmadd231ps(13, 10, 4)),
                of("vfmadd231ps ymm2, ymm9, ymm12", a -> a.vfmadd231ps(2, 9, 12)),
                of(
                        "vfmadd231ps ymm10, ymm8, [rax+224]",
                        a -> a.vfmadd231ps(10, 8, new Memory(RAX, 224))),
                of(
                        "vfmadd231ps ymm6, ymm1, [r9+rbx*8-64]",
                        a -> a.vfmadd231ps(6, 1, new Memory(R9, RBX, 8, -64))),
                of(
                        "vbroadcastss ymm4, dword ptr [rsi+rbp*4+224]",
                        a -> a.vbroadcastss(4, new Memory(RSI, RBP, 4, 224))),
                of(
                        "vbroadcastss ymm5, dword ptr [r10+rbx*4]",
                        a -> a.vbroadcastss(5, new Memory(R10, RBX, 4, 0))),
                of(
                        "vbroadcastss ymm4, dword ptr [r12+rbx*4]",
                        a -> a.vbroadcastss(4, new Memory(R12, RBX, 4, 0))),
                of(
                        "vbroadcastss ymm12, dword ptr [rsi+r11*2+3]",
                        a -> a.vbroadcastss(12, new Memory(RSI, R11, 2, 3))),
                of("vextractf128 xmm10, ymm13, 1", a -> a.vextractf128(10, 13)),
                of("vextractf128 xmm2, ymm5, 1", a -> a.vextractf128(2, 5)),
                of("vaddps xmm13, xmm13, xmm10", a -> a.vaddpsOfHalves(13, 13, 10)),
                of("vaddps xmm2, xmm5, xmm6", a -> a.vaddpsOfHalves(2, 5, 6)),
                of("vpermilps xmm10, xmm13, 0x4e", a -> a.vpermilpsOfHalf(10, 13, 0x4e)),
                of("vpermilps xmm3, xmm2, 0xb1", a -> a.vpermilpsOfHalf(3, 2, 0xb1)),
                of("vmovss dword ptr [r8], xmm13", a -> a.vmovss(new Memory(R8, 0), 13)),
                of("vmovss dword ptr [rcx+8], xmm2", a -> a.vmovss(new Memory(RCX, 8), 2)),
                of("vmovss dword ptr [rbp-516], xmm11", a -> a.vmovss(new Memory(RBP, -516), 11)),
                of("vunpcklps ymm0, ymm8, ymm9", a -> a.vunpcklps(0, 8, 9)),
                of("vunpcklps ymm11, ymm3, ymm14", a -> a.vunpcklps(11, 3, 14)),
                of("vunpckhps ymm1, ymm8, ymm9", a -> a.vunpckhps(1, 8, 9)),
                of("vunpckhps ymm10, ymm2, ymm15", a -> a.vunpckhps(10, 2, 15)),
                of("vshufps ymm8, ymm0, ymm2, 0x44", a -> a.vshufps(8, 0, 2, 0x44)),
                of("vshufps ymm3, ymm12, ymm11, 0xee", a -> a.vshufps(3, 12, 11, 0xee)),
                of("vperm2f128 ymm0, ymm8, ymm12, 0x20", a -> a.vperm2f128(0, 8, 12, 0x20)),
                of("vperm2f128 ymm13, ymm3, ymm4, 0x31", a -> a.vperm2f128(13, 3, 4, 0x31)),
                of("vzeroupper", a -> a.vzeroupper()),
                of("mov rdi, r9", a -> a.mov(RDI, R9)),
                of("mov r12, [rsi+192]", a -> a.mov(R12, new Memory(RSI, 192))),
                of("sub rbp, r11", a -> a.sub(RBP, R11)),
                of("sub r10, rax", a -> a.sub(R10, RAX)),
                of("and rbp, 255", a -> a.and(RBP, 255)),
                of("and r12, 1023", a -> a.and(R12, 1023)),
                of("shl rbp, 5", a -> a.shl(RBP, 5)),
                of("shl r9, 7", a -> a.shl(R9, 7)),
                of("lea rbp, [rbp+r12]", a -> a.lea(RBP, new Memory(RBP, R12, 1, 0))),
                of("prefetchnta [rdi+4096]", a -> a.prefetchnta(new Memory(RDI, 4096))),
                of("ret", a -> a.ret()));
    }
}
