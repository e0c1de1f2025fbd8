package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.argumentSet;
import static org.qlora4j.kernel.X86Instructions.Register.*;

import java.util.HexFormat;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.kernel.X86Instructions.Memory;

/** Beside the GNU assembler, whose code make_assembler_reference.py wrote to sse.txt. */
class SseAssemblerTest {
    private static final Map<String, String> GNU = Avx2AssemblerTest.read("sse.txt");

    @ParameterizedTest
    @MethodSource("instructions")
    void instruction_isThatOfTheGnuAssembler(String instruction, Consumer<SseAssembler> written) {
        var assembler = new SseAssembler();
        written.accept(assembler);
        assertThat(HexFormat.of().formatHex(assembler.code())).isEqualTo(GNU.get(instruction));
    }

    @Test
    void everyInstructionOfTheFile_isCompared() {
        assertThat(instructions().map(a -> a.get()[0]))
                .containsExactlyInAnyOrderElementsOf(GNU.keySet());
    }

    @Test
    void operandThatTheCopyWouldOverwrite_isRefused() {
        assertThatThrownBy(() -> new SseAssembler().vpshufb(4, 0, 4))
                .isInstanceOf(IllegalArgumentException.class);
    }

    private static Arguments of(String instruction, Consumer<SseAssembler> written) {
        return argumentSet(instruction, instruction, written);
    }

    static Stream<Arguments> instructions() {
        return Stream.of(
                of("movups xmm9, [r8+rbx*8-64]", a -> a.vmovups(9, new Memory(R8, RBX, 8, -64))),
                of("movups xmm3, [rsi+96]", a -> a.vmovups(3, new Memory(RSI, 96))),
                of("pmovsxbd xmm1, dword ptr [rdi]", a -> a.vpmovsxbd(1, new Memory(RDI, 0))),
                of("pmovsxbd xmm12, dword ptr [r9+40]", a -> a.vpmovsxbd(12, new Memory(R9, 40))),
                of("cvtdq2ps xmm14, xmm13", a -> a.vcvtdq2ps(14, 13)),
                of("pxor xmm13, xmm13", a -> a.vpxor(13, 13, 13)),
                of(
                        "movaps xmm8, xmm9; pand xmm8, [rsi+128]",
                        a -> a.vpand(8, 9, new Memory(RSI, 128))),
                of("psrlw xmm9, 4", a -> a.vpsrlw(9, 9, 4)),
                of("movaps xmm4, xmm0; pshufb xmm4, xmm8", a -> a.vpshufb(4, 0, 8)),
                of("pshufb xmm10, xmm11", a -> a.vpshufb(10, 10, 11)),
                of("movaps xmm8, xmm4; punpcklbw xmm8, xmm5", a -> a.vpunpcklbw(8, 4, 5)),
                of("punpckhbw xmm12, xmm5", a -> a.vpunpckhbw(12, 12, 5)),
                of(
                        "movaps xmm0, xmm8; pmaddwd xmm0, [rax+64]",
                        a -> a.vpmaddwd(0, 8, new Memory(RAX, 64))),
                of("pmaddwd xmm12, [r10+112]", a -> a.vpmaddwd(12, 12, new Memory(R10, 112))),
                of("paddd xmm9, xmm4", a -> a.vpaddd(9, 9, 4)),
                of("movaps xmm3, xmm8; phaddd xmm3, xmm10", a -> a.vphaddd(3, 8, 10)),
                of("phaddd xmm11, xmm2", a -> a.vphaddd(11, 11, 2)),
                of(
                        "insertps xmm4, dword ptr [r12+rcx*4+8], 0x20",
                        a -> a.vinsertps(4, 2, new Memory(R12, RCX, 4, 8))),
                of(
                        "insertps xmm13, dword ptr [rsi+rbp*4+160], 0x30",
                        a -> a.vinsertps(13, 3, new Memory(RSI, RBP, 4, 160))),
                of("addps xmm4, xmm12", a -> a.vaddps(4, 4, 12)),
                of("addps xmm12, [r10]", a -> a.vaddps(12, 12, new Memory(R10, 0))),
                of("mulps xmm4, xmm5", a -> a.vmulps(4, 4, 5)),
                of(
                        "movups xmm10, [rax+224]; mulps xmm10, xmm7",
                        a -> a.vmulps(10, 7, new Memory(RAX, 224))),
                of(
                        "movaps xmm0, xmm10; mulps xmm0, xmm4; addps xmm13, xmm0",
                        a -> a.vfmadd231ps(13, 10, 4)),
                of(
                        "movups xmm0, [rax+4608]; mulps xmm0, xmm8; addps xmm10, xmm0",
                        a -> a.vfmadd231ps(10, 8, new Memory(RAX, 4608))),
                of(
                        "mulps xmm9, [rax+32]; addps xmm3, xmm9",
                        a -> a.addLastProduct(3, 9, new Memory(RAX, 32))),
                of(
                        "movss xmm4, [rsi+rbp*4+224]; shufps xmm4, xmm4, 0",
                        a -> a.vbroadcastss(4, new Memory(RSI, RBP, 4, 224))),
                of("pshufd xmm10, xmm13, 0x4e", a -> a.pshufd(10, 13, 0x4e)),
                of("movss [rcx+8], xmm11", a -> a.movss(new Memory(RCX, 8), 11)));
    }
}
