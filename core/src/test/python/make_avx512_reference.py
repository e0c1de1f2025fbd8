#!/usr/bin/env python3
"""Machine code of single instructions by the GNU assembler, for Avx512AssemblerTest.

    python3 make_avx512_reference.py > ../resources/org/qlora4j/kernel/avx512.txt

A line is the bytes in hex, a tab and the instruction. Needs `as` and `objcopy` of GNU binutils; no random numbers. {evex} asks for that prefix
where a shorter one would do.
"""
import os
import subprocess
import tempfile

INSTRUCTIONS = """
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
vpsrld zmm18, zmm16, 4
vpsrld zmm7, zmm31, 28
vpermps zmm17, zmm16, zmm0
vpermps zmm8, zmm24, zmm15
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


def code(instruction):
    with tempfile.TemporaryDirectory() as folder:
        object_file, raw = os.path.join(folder, "a.o"), os.path.join(folder, "a.bin")
        source = ".intel_syntax noprefix\n" + instruction + "\n"
        subprocess.run(["as", "-o", object_file, "-"], input=source, text=True, check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", object_file, raw], check=True)
        with open(raw, "rb") as file:
            return file.read().hex()


version = subprocess.run(["as", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
print("#", version, "by make_avx512_reference.py")
for line in INSTRUCTIONS.strip().splitlines():
    print(code(line), line, sep="\t")
