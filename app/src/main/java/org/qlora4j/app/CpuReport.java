package org.qlora4j.app;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.qlora4j.tensor.CpuFeatures;
import org.qlora4j.tensor.InstructionSet;

/** The processor of {@code qlora doctor}, from {@code /proc/cpuinfo} where there is one. */
final class CpuReport {
    private static final Path CPUINFO = Path.of("/proc/cpuinfo");

    /** Instruction sets that decide which kernels run and how fast; x86 names, then Arm's. */
    private static final List<String> TELLING =
            List.of(
                    "sse4_1",
                    "avx2",
                    "fma",
                    "f16c",
                    "avx512f",
                    "avx512vl",
                    "avx512vbmi",
                    "avx512_vnni",
                    "avx512_bf16",
                    "avx512_fp16",
                    "amx_tile",
                    "amx_bf16",
                    "amx_int8",
                    "asimd",
                    "asimddp",
                    "bf16",
                    "i8mm",
                    "sve",
                    "sve2");

    private CpuReport() {}

    static List<Report> lines() {
        String cpuinfo;
        try {
            cpuinfo = Files.readString(CPUINFO);
        } catch (IOException notLinux) {
            cpuinfo = "";
        }
        var lines = new ArrayList<Report>();
        lines.add(
                new Report(
                        "OS",
                        System.getProperty("os.name") + " " + System.getProperty("os.version")));
        lines.add(new Report("CPU", model(cpuinfo).orElse(System.getProperty("os.arch"))));
        lines.add(
                new Report(
                        "CPU features",
                        cpuinfo.isEmpty() ? "unknown on this system" : features(cpuinfo)));
        lines.add(new Report("instruction set", instructionSet()));
        lines.add(
                new Report("cores", Integer.toString(Runtime.getRuntime().availableProcessors())));
        return lines;
    }

    /** What is computed with, and what the CPU has beyond it where it is held down. */
    private static String instructionSet() {
        if (!CpuFeatures.known()) {
            return "unknown on this system; whether bf16 pays off is measured";
        }
        String used = CpuFeatures.current().describe();
        String whole = CpuFeatures.whole().describe();
        return used.equals(whole)
                ? used
                : "%s, held down by %s; the CPU has %s"
                        .formatted(used, InstructionSet.VARIABLE, whole);
    }

    /** The name the processor gives itself; Arm processors give none. */
    static Optional<String> model(String cpuinfo) {
        return Optional.ofNullable(firstProcessor(cpuinfo).get("model name"));
    }

    /** Flags of the first processor that matter here, in the order of {@code TELLING}. */
    static String features(String cpuinfo) {
        Map<String, String> processor = firstProcessor(cpuinfo);
        String all = processor.getOrDefault("flags", processor.getOrDefault("Features", ""));
        var flags = new HashSet<>(Arrays.asList(all.split("\\s+", -1)));
        List<String> found = TELLING.stream().filter(flags::contains).toList();
        return found.isEmpty() ? "none of " + String.join(" ", TELLING) : String.join(" ", found);
    }

    /** {@code key : value} lines up to the first empty line. */
    private static Map<String, String> firstProcessor(String cpuinfo) {
        var fields = new HashMap<String, String>();
        for (String line : cpuinfo.lines().takeWhile(line -> !line.isBlank()).toList()) {
            int colon = line.indexOf(':');
            if (colon > 0) {
                fields.putIfAbsent(
                        line.substring(0, colon).strip(), line.substring(colon + 1).strip());
            }
        }
        return fields;
    }
}
