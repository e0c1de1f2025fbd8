package org.qlora4j.tensor;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * Ends the process without the destructors of native libraries. The JVM ends by C's {@code exit},
 * which destroys what libtorch holds while the engine thread may still compute with it: runs that
 * SIGTERM met in a long product died in oneDNN, whose stream was gone. Handlers run in reverse
 * order of registration, so one that is registered as the JVM goes down comes before all
 * destructors; it ends the process at once, with the status it is handed. Only glibc has such
 * handlers: elsewhere nothing changes.
 */
final class ProcessExit {
    private ProcessExit() {}

    /** To be called once. */
    static void skipDestructors() {
        Linker linker = Linker.nativeLinker();
        SymbolLookup libc = linker.defaultLookup();
        Optional<MemorySegment> register = libc.find("on_exit");
        Optional<MemorySegment> end = libc.find("_exit");
        if (register.isEmpty() || end.isEmpty()) {
            return;
        }
        MethodHandle onExit =
                linker.downcallHandle(
                        register.get(), FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS));
        Thread hook = new Thread(() -> register(onExit, end.get()), "qlora4j-exit");
        try {
            Runtime.getRuntime().addShutdownHook(hook);
        } catch (IllegalStateException goingDown) {
            // too late, and libtorch was only just loaded
        }
    }

    private static void register(MethodHandle onExit, MemorySegment end) {
        try {
            int failed = (int) onExit.invokeExact(end, MemorySegment.NULL);
            assert failed == 0;
        } catch (Throwable e) { // C throws nothing
            throw new IllegalStateException(e);
        }
    }
}
