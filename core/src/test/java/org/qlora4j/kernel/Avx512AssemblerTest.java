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

/** Beside the GNU assembler, whose code make_assembler_reference.py wrote to avx512.txt. */
class Avx512AssemblerTest {
    private static final Map<String, String> GNU = read();

    private static Map<String, String> read() {
        try (InputStream in = Avx512AssemblerTest.class.getResourceAsStream("avx512.txt")) {
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
    void instruction_isThatOfTheGnuAssembler(
            String instruction, Consumer<Avx512Assembler> written) {
        var assembler = new Avx512Assembler(true);
        written.accept(assembler);
        assertThat(HexFormat.of().formatHex(assembler.code())).isEqualTo(GNU.get(instruction));
    }

    @Test
    void everyInstructionOfTheFile_isCompared() {
        assertThat(instructions().map(a -> a.get()[0]))
                .containsExactlyInAnyOrderElementsOf(GNU.keySet());
    }

    private static Arguments of(String instruction, Consumer<Avx512Assembler> written) {
        return argumentSet(instruction, instruction, written);
    }

    static Stream<Arguments> instructions() {
        return Stream.of(
                of("vmovdqu32 zmm16, [rdi]", a -> a.vmovdqu32(16, new Memory(RDI, 0))),
                of("vmovdqu32 zmm3, [r8+64]", a -> a.vmovdqu32(3, new Memory(R8, 64))),
                of("vmovdqu ymm2, [rdi]", a -> a.vmovdqu(2, new Memory(RDI, 0))),
                of("vmovdqu ymm7, [rcx+32]", a -> a.vmovdqu(7, new Memory(RCX, 32))),
                of("vmovups zmm0, [rdx]", a -> a.vmovups(0, new Memory(RDX, 0))),
                of("vmovups zmm4, [rbp]", a -> a.vmovups(4, new Memory(RBP, 0))),
                of("vmovups zmm25, [rdx+8128]", a -> a.vmovups(25, new Memory(RDX, 8128))),
                of("vmovups zmm25, [rdx+8192]", a -> a.vmovups(25, new Memory(RDX, 8192))),
                of("vmovups zmm9, [rdx-8192]", a -> a.vmovups(9, new Memory(RDX, -8192))),
                of("vmovups zmm9, [rdx+68]", a -> a.vmovups(9, new Memory(RDX, 68))),
                of("vpmovsxbd zmm1, xmmword ptr [rdi]", a -> a.vpmovsxbd(1, new Memory(RDI, 0))),
                of(
                        "vpmovsxbd zmm18, xmmword ptr [rdi+48]",
                        a -> a.vpmovsxbd(18, new Memory(RDI, 48))),
                of("vpmovsxbd zmm9, xmmword ptr [r9+20]", a -> a.vpmovsxbd(9, new Memory(R9, 20))),
                of("vcvtdq2ps zmm1, zmm1", a -> a.vcvtdq2ps(1, 1)),
                of("vcvtdq2ps zmm30, zmm13", a -> a.vcvtdq2ps(30, 13)),
                of("vpxord zmm2, zmm2, zmm2", a -> a.vpxord(2, 2, 2)),
                of("vpxord zmm30, zmm14, zmm21", a -> a.vpxord(30, 14, 21)),
                of("vpsrlw zmm18, zmm16, 4", a -> a.vpsrlw(18, 16, 4)),
                of("vpsrlw zmm7, zmm31, 12", a -> a.vpsrlw(7, 31, 12)),
                of("vpermw zmm17, zmm16, zmm0", a -> a.vpermw(17, 16, 0)),
                of("vpermw zmm8, zmm24, zmm15", a -> a.vpermw(8, 24, 15)),
                of("vpdpwssd zmm6, zmm6, zmm7", a -> a.addProducts(6, 6, 7, 0)),
                of("vpdpwssd zmm31, zmm1, zmm16", a -> a.addProducts(31, 1, 16, 0)),
                of(
                        "vpdpwssd zmm7, zmm24, [rax+448]",
                        a -> a.addProducts(7, 24, new Memory(RAX, 448), 0)),
                of(
                        "vpdpwssd zmm16, zmm1, [r9+rbx*8-64]",
                        a -> a.addProducts(16, 1, new Memory(R9, RBX, 8, -64), 0)),
                of("vpmaddwd zmm25, zmm6, zmm17", a -> a.vpmaddwd(25, 6, 17)),
                of(
                        "vpmaddwd zmm20, zmm24, [rax+448]",
                        a -> a.vpmaddwd(20, 24, new Memory(RAX, 448))),
                of("vpaddd zmm6, zmm6, zmm7", a -> a.vpaddd(6, 6, 7)),
                of("vpaddd zmm31, zmm1, zmm16", a -> a.vpaddd(31, 1, 16)),
                of(
                        "vfmadd213ps zmm3, zmm14, [rbp+192]",
                        a -> a.vfmadd213ps(3, 14, new Memory(RBP, 192))),
                of(
                        "vfmadd213ps zmm27, zmm20, [r8+rbp*1+320]",
                        a -> a.vfmadd213ps(27, 20, new Memory(R8, RBP, 1, 320))),
                of("vmovups [rdx], zmm13", a -> a.vmovups(new Memory(RDX, 0), 13)),
                of(
                        "vmovups [r8+rbp*1+320], zmm30",
                        a -> a.vmovups(new Memory(R8, RBP, 1, 320), 30)),
                of("vaddps zmm6, zmm6, zmm7", a -> a.vaddps(6, 6, 7)),
                of("vaddps zmm31, zmm1, zmm16", a -> a.vaddps(31, 1, 16)),
                of("vmulps zmm4, zmm4, zmm5", a -> a.vmulps(4, 4, 5)),
                of("vmulps zmm29, zmm20, zmm10", a -> a.vmulps(29, 20, 10)),
                of("vmulps zmm6, zmm17, [rax]", a -> a.vmulps(6, 17, new Memory(RAX, 0))),
                of("vmulps zmm22, zmm9, [r10+448]", a -> a.vmulps(22, 9, new Memory(R10, 448))),
                of("vfmadd231ps zmm2, zmm6, zmm4", a -> a.vfmadd231ps(2, 6, 4)),
                of("vfmadd231ps zmm26, zmm19, zmm13", a -> a.vfmadd231ps(26, 19, 13)),
                of(
                        "vfmadd231ps zmm7, zmm24, [rax+448]",
                        a -> a.vfmadd231ps(7, 24, new Memory(RAX, 448))),
                of(
                        "vfmadd231ps zmm16, zmm1, [r9+rbx*8-64]",
                        a -> a.vfmadd231ps(16, 1, new Memory(R9, RBX, 8, -64))),
                of(
                        "vbroadcastss zmm1, dword ptr [rdx+1088]",
                        a -> a.vbroadcastss(1, 0, new Memory(RDX, 1088))),
                of(
                        "vbroadcastss zmm4{k1}, dword ptr [rdx+rbp*4+64]",
                        a -> a.vbroadcastss(4, 1, new Memory(RDX, RBP, 4, 64))),
                of(
                        "vbroadcastss zmm20{k7}, dword ptr [r10+rbx*4]",
                        a -> a.vbroadcastss(20, 7, new Memory(R10, RBX, 4, 0))),
                of(
                        "vbroadcastss zmm4{k1}, dword ptr [r12+rbx*4]",
                        a -> a.vbroadcastss(4, 1, new Memory(R12, RBX, 4, 0))),
                of(
                        "vbroadcastss zmm12, dword ptr [rsi+r11*2+3]",
                        a -> a.vbroadcastss(12, 0, new Memory(RSI, R11, 2, 3))),
                of("vshuff32x4 zmm3, zmm2, zmm2, 0x4e", a -> a.vshuff32x4(3, 2, 2, 0x4e)),
                of("vshuff32x4 zmm27, zmm11, zmm17, 0xb1", a -> a.vshuff32x4(27, 11, 17, 0xb1)),
                of("vpermilps zmm3, zmm2, 0x4e", a -> a.vpermilps(3, 2, 0x4e)),
                of("vpermilps zmm18, zmm28, 0xb1", a -> a.vpermilps(18, 28, 0xb1)),
                of("{evex} vmovss dword ptr [r8], xmm2", a -> a.vmovss(new Memory(R8, 0), 2)),
                of("vmovss dword ptr [rcx+508], xmm30", a -> a.vmovss(new Memory(RCX, 508), 30)),
                of(
                        "{evex} vmovss dword ptr [rbp-516], xmm11",
                        a -> a.vmovss(new Memory(RBP, -516), 11)),
                of("vzeroupper", a -> a.vzeroupper()),
                of("kmovw k1, eax", a -> a.kmovw(1, RAX)),
                of("kmovw k6, edi", a -> a.kmovw(6, RDI)),
                of("mov eax, 65280", a -> a.mov(RAX, 65280)),
                of("mov r11d, 16", a -> a.mov(R11, 16)),
                of("mov r10, rbx", a -> a.mov(R10, RBX)),
                of("mov rax, r9", a -> a.mov(RAX, R9)),
                of("mov r10, [rdx+1096]", a -> a.mov(R10, new Memory(RDX, 1096))),
                of("mov r12, [rsi+1096]", a -> a.mov(R12, new Memory(RSI, 1096))),
                of("mov rbp, [r9+rax*8-8]", a -> a.mov(RBP, new Memory(R9, RAX, 8, -8))),
                of("lea rax, [rdx+1152]", a -> a.lea(RAX, new Memory(RDX, 1152))),
                of("lea rbx, [rcx+1]", a -> a.lea(RBX, new Memory(RCX, 1))),
                of("movzx rbp, byte ptr [rsi+rbx]", a -> a.movzx(RBP, new Memory(RSI, RBX, 1, 0))),
                of("movzx rbp, byte ptr [r12+rbx]", a -> a.movzx(RBP, new Memory(R12, RBX, 1, 0))),
                of(
                        "movzx r8, byte ptr [r11+r10*4+7]",
                        a -> a.movzx(R8, new Memory(R11, R10, 4, 7))),
                of("add rbx, 512", a -> a.add(RBX, 512)),
                of("add r8, -1024", a -> a.add(R8, -1024)),
                of("shr rbx, 8", a -> a.shr(RBX, 8)),
                of("shr r9, 5", a -> a.shr(R9, 5)),
                of("dec r11", a -> a.dec(R11)),
                of("0: {disp32} jnz 0b", a -> a.jnz(a.here())),
                of("dec rcx", a -> a.dec(RCX)),
                of("push rbx", a -> a.push(RBX)),
                of("push r10", a -> a.push(R10)),
                of("push r12", a -> a.push(R12)),
                of("pop rbp", a -> a.pop(RBP)),
                of("pop r12", a -> a.pop(R12)),
                of("pop r9", a -> a.pop(R9)),
                of("prefetchnta [rdi+2048]", a -> a.prefetchnta(new Memory(RDI, 2048))),
                of("prefetchnta [r8+rcx+64]", a -> a.prefetchnta(new Memory(R8, RCX, 1, 64))),
                of("ret", a -> a.ret()));
    }
}
