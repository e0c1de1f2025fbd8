package org.qlora4j.tensor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * What this process may believe of its x86-64 CPU: what the CPU has, within {@link
 * InstructionSet#limit}. Everything is false on other CPUs and where Linux's {@code /proc/cpuinfo}
 * is missing.
 *
 * @param sse41 shuffles of bytes and the rest of SSE up to 4.1, which almost every such CPU has
 * @param avx2 vectors of 256 bits with fused multiply-add
 * @param avx512 vectors of 512 bits (F, BW, DQ and VL)
 * @param vnni sums of products of whole numbers, in such vectors, by one instruction
 * @param bf16 products of bf16 matrices: three to four times as fast as f32, and many times slower
 *     than f32 without them
 */
public record CpuFeatures(boolean sse41, boolean avx2, boolean avx512, boolean vnni, boolean bf16) {
    private static final List<String> SSE41 = List.of("ssse3", "sse4_1");
    private static final List<String> AVX2 = List.of("avx2", "fma", "f16c");
    private static final List<String> AVX512 =
            List.of("avx512f", "avx512bw", "avx512dq", "avx512vl");

    private static final String VNNI = "avx512_vnni";

    /** Linux's names of the instructions that multiply bf16 matrices. */
    private static final List<String> BF16 = List.of("avx512_bf16", "amx_bf16");

    private static final class Holder {
        static final String CPUINFO = read(Path.of("/proc/cpuinfo"));
        static final CpuFeatures WHOLE = of(CPUINFO);
        static final boolean KNOWN = flags(CPUINFO).isPresent();
    }

    /**
     * What this process computes with.
     *
     * @throws org.qlora4j.error.ConfigException if the variable of the limit holds another word
     */
    public static CpuFeatures current() {
        return whole().within(InstructionSet.limit());
    }

    /** Whether this system says what its CPU has; else all is false, and speed must be measured. */
    public static boolean known() {
        return Holder.KNOWN;
    }

    /** What the CPU has, whatever the limit. */
    public static CpuFeatures whole() {
        return Holder.WHOLE;
    }

    /** What remains of this within a set. */
    CpuFeatures within(InstructionSet limit) {
        return switch (limit) {
            case NATIVE -> this;
            case AVX512 -> new CpuFeatures(sse41, avx2, avx512, vnni, false);
            case AVX2 -> new CpuFeatures(sse41, avx2, false, false, false);
            case SSE -> new CpuFeatures(sse41, false, false, false, false);
        };
    }

    /** The widest set short of {@link InstructionSet#NATIVE} that lies within this. */
    public InstructionSet set() {
        if (avx512) {
            return InstructionSet.AVX512;
        }
        return avx2 ? InstructionSet.AVX2 : InstructionSet.SSE;
    }

    /** In words: {@code avx512 with bf16}, {@code avx512}, {@code avx2} or {@code sse}. */
    public String describe() {
        return bf16 ? set().word() + " with bf16" : set().word();
    }

    /** From the text of {@code /proc/cpuinfo}. */
    static CpuFeatures of(String cpuinfo) {
        List<String> flags = flags(cpuinfo).orElse(List.of());
        boolean avx2 = flags.containsAll(AVX2);
        boolean avx512 = avx2 && flags.containsAll(AVX512);
        return new CpuFeatures(
                flags.containsAll(SSE41),
                avx2,
                avx512,
                avx512 && flags.contains(VNNI),
                BF16.stream().anyMatch(flags::contains));
    }

    /** Flags of the first processor; only x86 names them so. */
    private static Optional<List<String>> flags(String cpuinfo) {
        return cpuinfo.lines()
                .filter(text -> text.startsWith("flags"))
                .findFirst()
                .map(text ->
                        List.of(text.substring(text.indexOf(':') + 1).strip().split("\\s+", -1)));
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException notLinux) {
            return "";
        }
    }
}
