package org.qlora4j.app;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.Optional;
import org.qlora4j.tensor.Engine;

/**
 * Ends the process without the destructors of native libraries. The JVM ends by C's {@code exit},
 * which destroys what libtorch holds while the engine thread may still compute with it: commands
 * that SIGTERM met in a long product died in oneDNN, whose stream was gone. Handlers run in reverse
 * order of registration, so one that is registered as the JVM goes down comes before the
 * destructors that are known by then; it ends the process at once, with the status it is handed.
 * Only glibc has such handlers: elsewhere nothing changes. This is for the command alone; a library
 * must not keep others' handlers from running.
 */
final class ProcessExit {
    private ProcessExit() {}

    /** Sees to it when the JVM goes down, if the engine was used. To be called once. */
    static void skipDestructors() {
        Runtime.getRuntime()
                .addShutdownHook(new Thread(ProcessExit::registerIfNeeded, "qlora4j-exit"));
    }

    private static void registerIfNeeded() {
        if (!Engine.started()) {
            return;
        }
        Linker linker = Linker.nativeLinker();
        SymbolLookup libc = linker.defaultLookup();
        Optional<MemorySegment> register = libc.find("on_exit");
        Optional<MemorySegment> end = libc.find("_exit");
        if (register.isEmpty() || end.isEmpty()) {
            return;
        }
        var shape = FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS);
        try {
            // where it fails, all ends as it would without
            int failed =
                    (int)
                            linker.downcallHandle(register.get(), shape)
                                    .invokeExact(end.get(), MemorySegment.NULL);
        } catch (Throwable e) { // C throws nothing
            throw new IllegalStateException(e);
        }
    }
}
