package org.qlora4j.kernel;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.qlora4j.tensor.DType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What this machine's CPU computes fast, and the compute dtype that follows from it. */
public final class CpuFeatures {
    private static final Logger LOG = LoggerFactory.getLogger(CpuFeatures.class);

    /** Linux's names of the x86 instructions that multiply bf16 matrices. */
    private static final List<String> BF16_FLAGS = List.of("avx512_bf16", "amx_bf16");

    private static final class Holder {
        static final boolean BF16 = hasBf16(read(Path.of("/proc/cpuinfo")));
        static final DType COMPUTE = choose(BF16);
    }

    private CpuFeatures() {}

    /**
     * Whether libtorch multiplies bf16 matrices with instructions made for it: three to four times
     * as fast as f32, and many times slower than f32 without them. False where Linux's {@code
     * /proc/cpuinfo} is missing: on macOS and Windows, f32 is the safe choice.
     */
    public static boolean hasBf16() {
        return Holder.BF16;
    }

    /** The compute dtype where none is asked for: BF16 if the CPU has it, else F32 and a notice. */
    public static DType defaultCompute() {
        return Holder.COMPUTE;
    }

    private static DType choose(boolean bf16) {
        if (bf16) {
            LOG.info("compute dtype bf16: the CPU has instructions for it");
            return DType.BF16;
        }
        LOG.warn(
                "compute dtype f32: this CPU has no bf16 instructions (avx512_bf16 or amx_bf16), so"
                        + " products take about four times as long");
        return DType.F32;
    }

    /** From the text of {@code /proc/cpuinfo}. */
    static boolean hasBf16(String cpuinfo) {
        return cpuinfo.lines()
                .filter(line -> line.startsWith("flags"))
                .limit(1)
                .map(line ->
                        List.of(line.substring(line.indexOf(':') + 1).strip().split("\\s+", -1)))
                .anyMatch(flags -> BF16_FLAGS.stream().anyMatch(flags::contains));
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException notLinux) {
            return "";
        }
    }
}
