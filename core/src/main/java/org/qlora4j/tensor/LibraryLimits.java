package org.qlora4j.tensor;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.management.ManagementFactory;
import java.util.Map;
import java.util.Optional;
import org.qlora4j.error.ConfigException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Holds oneDNN, ATen and OpenBLAS down to {@link InstructionSet#limit} before they are loaded. Each
 * reads its variable of the environment then, which C's {@code setenv} can still set.
 */
final class LibraryLimits {
    private static final Logger LOG = LoggerFactory.getLogger(LibraryLimits.class);

    private LibraryLimits() {}

    /**
     * To be called once, before libtorch is loaded. Warns if the JVM's own vectors are wider.
     *
     * @throws ConfigException if the limit is no known word, or this system cannot be held down
     */
    static void apply() {
        InstructionSet limit = InstructionSet.limit();
        if (limit == InstructionSet.NATIVE) {
            return;
        }
        if (!"Linux".equals(System.getProperty("os.name"))
                || !"amd64".equals(System.getProperty("os.arch"))) {
            throw ConfigException.of(
                    "%s=%s holds down x86-64 on Linux only, not %s on %s; leave it out",
                    InstructionSet.VARIABLE,
                    limit.word(),
                    System.getProperty("os.name"),
                    System.getProperty("os.arch"));
        }
        // a library told to use more than the CPU has would crash, so never wider than the CPU
        InstructionSet held = CpuFeatures.current().set();
        setEnvironment(held.variablesOfLibraries());
        warnOfWiderVectors(limit).ifPresent(LOG::warn);
    }

    /** One line if the JVM was started without the flag that belongs to the limit. */
    private static Optional<String> warnOfWiderVectors(InstructionSet limit) {
        int widest = limit.useAvx().orElse(Integer.MAX_VALUE);
        try {
            String used =
                    ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
                            .getVMOption("UseAVX")
                            .getValue();
            return Integer.parseInt(used) <= widest
                    ? Optional.empty()
                    : Optional.of(
                            "%s=%s holds libtorch down, but not this JVM's own vectors; start it with %s"
                                    .formatted(
                                            InstructionSet.VARIABLE,
                                            limit.word(),
                                            String.join(" ", limit.jvmFlags())));
        } catch (IllegalArgumentException unknownToThisJvm) {
            return Optional.empty();
        }
    }

    private static void setEnvironment(Map<String, String> variables) {
        Linker linker = Linker.nativeLinker();
        MethodHandle set =
                linker.downcallHandle(
                        linker.defaultLookup().findOrThrow("setenv"),
                        FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT));
        try (Arena arena = Arena.ofConfined()) {
            for (Map.Entry<String, String> variable : variables.entrySet()) {
                MemorySegment name = arena.allocateFrom(variable.getKey());
                MemorySegment value = arena.allocateFrom(variable.getValue());
                int failed = (int) set.invokeExact(name, value, 1);
                if (failed != 0) {
                    throw new IllegalStateException("setenv " + variable.getKey());
                }
            }
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) { // C throws nothing
            throw new IllegalStateException(e);
        }
    }
}
