#!/usr/bin/env python3
"""Machine code of single instructions by the GNU assembler, for the tests of Avx512Assembler, Avx2Assembler and SseAssembler.

    python3 make_assembler_reference.py avx512 > ../resources/org/qlora4j/kernel/avx512.txt
    python3 make_assembler_reference.py avx2 > ../resources/org/qlora4j/kernel/avx2.txt
    python3 make_assembler_reference.py sse > ../resources/org/qlora4j/kernel/sse.txt

A line is the bytes in hex, a tab and the instruction. Needs `as` and `objcopy` of GNU binutils; no random numbers. {evex} asks for that prefix
where a shorter one would do.
"""
import os
import subprocess
import sys
import tempfile

AVX512 = """
vmovdqu32 zmm16, [rdi]
vmovdqu32 zmm3, [r8+64]
vmovdqu ymm2, [rdi]
vmovdqu ymm7, [rcx+32]
vmovups zmm0, [rdx]
vmovups zmm4, [rbp]
vmovups zmm25, [rdx+8128]
vmovups zmm25, [rdx+8192]
vmovups zmm9, [rdx-8192]
vmovups zmm9, [rdx+68]
vpmovsxbd zmm1, xmmword ptr [rdi]
vpmovsxbd zmm18, xmmword ptr [rdi+48]
vpmovsxbd zmm9, xmmword ptr [r9+20]
vcvtdq2ps zmm1, zmm1
vcvtdq2ps zmm30, zmm13
vpxord zmm2, zmm2, zmm2
vpxord zmm30, zmm14, zmm21
vpsrlw zmm18, zmm16, 4
vpsrlw zmm7, zmm31, 12
vpermw zmm17, zmm16, zmm0
vpermw zmm8, zmm24, zmm15
vpdpwssd zmm6, zmm6, zmm7
vpdpwssd zmm31, zmm1, zmm16
vpdpwssd zmm7, zmm24, [rax+448]
vpdpwssd zmm16, zmm1, [r9+rbx*8-64]
vpmaddwd zmm25, zmm6, zmm17
vpmaddwd zmm20, zmm24, [rax+448]
vpaddd zmm6, zmm6, zmm7
vpaddd zmm31, zmm1, zmm16
vfmadd213ps zmm3, zmm14, [rbp+192]
vfmadd213ps zmm27, zmm20, [r8+rbp*1+320]
vmovups [rdx], zmm13
vmovups [r8+rbp*1+320], zmm30
vaddps zmm6, zmm6, zmm7
vaddps zmm31, zmm1, zmm16
vmulps zmm4, zmm4, zmm5
vmulps zmm29, zmm20, zmm10
vmulps zmm6, zmm17, [rax]
vmulps zmm22, zmm9, [r10+448]
vfmadd231ps zmm2, zmm6, zmm4
vfmadd231ps zmm26, zmm19, zmm13
vfmadd231ps zmm7, zmm24, [rax+448]
vfmadd231ps zmm16, zmm1, [r9+rbx*8-64]
vbroadcastss zmm1, dword ptr [rdx+1088]
vbroadcastss zmm4{k1}, dword ptr [rdx+rbp*4+64]
vbroadcastss zmm20{k7}, dword ptr [r10+rbx*4]
vbroadcastss zmm4{k1}, dword ptr [r12+rbx*4]
vbroadcastss zmm12, dword ptr [rsi+r11*2+3]
vshuff32x4 zmm3, zmm2, zmm2, 0x4e
vshuff32x4 zmm27, zmm11, zmm17, 0xb1
vpermilps zmm3, zmm2, 0x4e
vpermilps zmm18, zmm28, 0xb1
{evex} vmovss dword ptr [r8], xmm2
vmovss dword ptr [rcx+508], xmm30
{evex} vmovss dword ptr [rbp-516], xmm11
vzeroupper
kmovw k1, eax
kmovw k6, edi
mov eax, 65280
mov r11d, 16
mov r10, rbx
mov rax, r9
mov r10, [rdx+1096]
mov r12, [rsi+1096]
mov rbp, [r9+rax*8-8]
lea rax, [rdx+1152]
lea rbx, [rcx+1]
movzx rbp, byte ptr [rsi+rbx]
movzx rbp, byte ptr [r12+rbx]
movzx r8, byte ptr [r11+r10*4+7]
add rbx, 512
add r8, -1024
shr rbx, 8
shr r9, 5
dec r11
0: {disp32} jnz 0b
dec rcx
push rbx
push r10
push r12
pop rbp
pop r9
pop r12
prefetchnta [rdi+2048]
prefetchnta [r8+rcx+64]
ret
"""


AVX2 = """
vmovups ymm0, [rsi]
vmovups ymm3, [rsi+96]
vmovups ymm9, [rdi]
vmovups ymm14, [r9+rbx*8-64]
vmovups ymm4, [rbp]
vmovups [r8+128], ymm4
vmovups [rdx], ymm13
vfmadd213ps ymm3, ymm14, [rbp+96]
vfmadd213ps ymm11, ymm2, [r12+rbx*4]
vpmovsxbd ymm1, qword ptr [rdi]
vpmovsxbd ymm12, qword ptr [r9+40]
vcvtdq2ps ymm1, ymm1
vcvtdq2ps ymm14, ymm13
vpxor ymm13, ymm13, ymm13
vpxor ymm2, ymm14, ymm5
vpand ymm7, ymm9, [rsi+128]
vpand ymm12, ymm3, [r8]
vpsrlw ymm9, ymm9, 4
vpsrlw ymm2, ymm12, 11
vpshufb ymm4, ymm0, ymm7
vpshufb ymm13, ymm11, ymm10
vpunpcklbw ymm8, ymm4, ymm5
vpunpcklbw ymm3, ymm12, ymm14
vpunpckhbw ymm4, ymm4, ymm5
vpunpckhbw ymm10, ymm2, ymm15
vpunpcklwd ymm7, ymm8, ymm5
vpunpcklwd ymm1, ymm9, ymm11
vpunpckhwd ymm8, ymm8, ymm5
vpunpckhwd ymm15, ymm3, ymm12
vpmaddwd ymm10, ymm8, [rax+64]
vpmaddwd ymm3, ymm12, [r9+rbx*8-64]
vpmaddwd ymm15, ymm14, ymm12
vpmaddwd ymm7, ymm9, ymm2
vpaddd ymm11, ymm11, ymm15
vpaddd ymm2, ymm9, ymm6
vphaddd ymm12, ymm8, ymm10
vphaddd ymm5, ymm4, ymm13
vextracti128 xmm7, ymm12, 1
vextracti128 xmm10, ymm3, 1
vinsertps xmm4, xmm4, dword ptr [r12+rcx*4+8], 0x20
vinsertps xmm13, xmm13, dword ptr [rsi+rbp*4+160], 0x30
vaddps ymm4, ymm4, ymm5
vaddps ymm11, ymm1, ymm14
vaddps ymm4, ymm4, [rsi+160]
vaddps ymm9, ymm12, [r10]
vmulps ymm4, ymm4, ymm5
vmulps ymm9, ymm10, ymm13
vmulps ymm10, ymm7, [rax]
vmulps ymm12, ymm8, [r10+4608]
vfmadd231ps ymm13, ymm10, ymm4
vfmadd231ps ymm2, ymm9, ymm12
vfmadd231ps ymm10, ymm8, [rax+224]
vfmadd231ps ymm6, ymm1, [r9+rbx*8-64]
vbroadcastss ymm4, dword ptr [rsi+rbp*4+224]
vbroadcastss ymm5, dword ptr [r10+rbx*4]
vbroadcastss ymm4, dword ptr [r12+rbx*4]
vbroadcastss ymm12, dword ptr [rsi+r11*2+3]
vextractf128 xmm10, ymm13, 1
vextractf128 xmm2, ymm5, 1
vaddps xmm13, xmm13, xmm10
vaddps xmm2, xmm5, xmm6
vpermilps xmm10, xmm13, 0x4e
vpermilps xmm3, xmm2, 0xb1
vmovss dword ptr [r8], xmm13
vmovss dword ptr [rcx+8], xmm2
vmovss dword ptr [rbp-516], xmm11
vunpcklps ymm0, ymm8, ymm9
vunpcklps ymm11, ymm3, ymm14
vunpckhps ymm1, ymm8, ymm9
vunpckhps ymm10, ymm2, ymm15
vshufps ymm8, ymm0, ymm2, 0x44
vshufps ymm3, ymm12, ymm11, 0xee
vperm2f128 ymm0, ymm8, ymm12, 0x20
vperm2f128 ymm13, ymm3, ymm4, 0x31
vzeroupper
mov rdi, r9
mov r12, [rsi+192]
sub rbp, r11
sub r10, rax
and rbp, 255
and r12, 1023
shl rbp, 5
shl r9, 7
lea rbp, [rbp+r12]
prefetchnta [rdi+4096]
ret
"""

SSE = """
movups xmm9, [r8+rbx*8-64]
movups xmm3, [rsi+96]
pmovsxbd xmm1, dword ptr [rdi]
pmovsxbd xmm12, dword ptr [r9+40]
cvtdq2ps xmm14, xmm13
pxor xmm13, xmm13
movaps xmm8, xmm9; pand xmm8, [rsi+128]
psrlw xmm9, 4
movaps xmm4, xmm0; pshufb xmm4, xmm8
pshufb xmm10, xmm11
movaps xmm8, xmm4; punpcklbw xmm8, xmm5
punpckhbw xmm12, xmm5
movaps xmm0, xmm8; pmaddwd xmm0, [rax+64]
pmaddwd xmm12, [r10+112]
paddd xmm9, xmm4
movaps xmm3, xmm8; phaddd xmm3, xmm10
phaddd xmm11, xmm2
insertps xmm4, dword ptr [r12+rcx*4+8], 0x20
insertps xmm13, dword ptr [rsi+rbp*4+160], 0x30
addps xmm4, xmm12
addps xmm12, [r10]
mulps xmm4, xmm5
movups xmm10, [rax+224]; mulps xmm10, xmm7
movaps xmm0, xmm10; mulps xmm0, xmm4; addps xmm13, xmm0
movups xmm0, [rax+4608]; mulps xmm0, xmm8; addps xmm10, xmm0
mulps xmm9, [rax+32]; addps xmm3, xmm9
movss xmm4, [rsi+rbp*4+224]; shufps xmm4, xmm4, 0
pshufd xmm10, xmm13, 0x4e
movss [rcx+8], xmm11
"""


def code(instruction):
    with tempfile.TemporaryDirectory() as folder:
        object_file, raw = os.path.join(folder, "a.o"), os.path.join(folder, "a.bin")
        source = ".intel_syntax noprefix\n" + instruction + "\n"
        subprocess.run(["as", "-o", object_file, "-"], input=source, text=True, check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", object_file, raw], check=True)
        with open(raw, "rb") as file:
            return file.read().hex()


version = subprocess.run(["as", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
print("#", version, "by make_assembler_reference.py")
for line in {"avx512": AVX512, "avx2": AVX2, "sse": SSE}[sys.argv[1]].strip().splitlines():
    print(code(line), line, sep="\t")
