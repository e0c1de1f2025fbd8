package org.qlora4j.tensor;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;

/**
 * The instruction sets that one variable, {@code QLORA_CPU}, holds a whole process down to. A large
 * machine then computes as a smaller one would. It is an upper limit: a CPU that has less stays
 * what it is. {@link CpuFeatures} is what remains; ask that before using an instruction.
 */
public enum InstructionSet {
    /** 128 bits, the width of NEON. */
    SSE(OptionalInt.of(0), "SSE41", "default", "Nehalem"),
    /** 256 bits with fused multiply-add: most laptops. */
    AVX2(OptionalInt.of(2), "AVX2", "avx2", "Haswell"),
    /** 512 bits without bf16. */
    AVX512(OptionalInt.empty(), "AVX512_CORE_VNNI", "avx512", "SkylakeX"),
    /** All that the CPU has. */
    NATIVE(OptionalInt.empty(), "", "", "");

    /** The environment variable. */
    public static final String VARIABLE = "QLORA_CPU";

    private final OptionalInt useAvx;
    private final String oneDnn;
    private final String aten;
    private final String openBlas;

    InstructionSet(OptionalInt useAvx, String oneDnn, String aten, String openBlas) {
        this.useAvx = useAvx;
        this.oneDnn = oneDnn;
        this.aten = aten;
        this.openBlas = openBlas;
    }

    /**
     * The limit of this process.
     *
     * @throws ConfigException if the variable holds another word
     */
    public static InstructionSet limit() {
        return of(System.getenv(VARIABLE));
    }

    /** By its word in the variable; not set and empty are {@link #NATIVE}. */
    static InstructionSet of(@Nullable String word) {
        if (word == null || word.isEmpty()) {
            return NATIVE;
        }
        return Arrays.stream(values())
                .filter(set -> set.word().equals(word))
                .findFirst()
                .orElseThrow(() ->
                        ConfigException.of("%s must be %s, got '%s'", VARIABLE, words(), word));
    }

    /** As the variable spells it. */
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** The greatest {@code -XX:UseAVX} that keeps the JVM's own vectors within this set, if any. */
    OptionalInt useAvx() {
        return useAvx;
    }

    /** What a JVM must be started with to stay within this set. */
    public List<String> jvmFlags() {
        return useAvx.isPresent() ? List.of("-XX:UseAVX=" + useAvx.getAsInt()) : List.of();
    }

    /** The variables that hold the libraries below to this set; none for {@link #NATIVE}. */
    Map<String, String> variablesOfLibraries() {
        return this == NATIVE
                ? Map.of()
                : Map.of(
                        "ONEDNN_MAX_CPU_ISA", oneDnn,
                        "ATEN_CPU_CAPABILITY", aten,
                        "OPENBLAS_CORETYPE", openBlas);
    }

    /** All words, widest first. */
    private static String words() {
        return Arrays.stream(values())
                .map(InstructionSet::word)
                .collect(
                        Collectors.collectingAndThen(
                                Collectors.toList(), all -> String.join(", ", all.reversed())));
    }
}
