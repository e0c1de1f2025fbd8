package org.qlora4j.tensor;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.util.function.Supplier;
import org.qlora4j.error.DeviceException;

/** Functions of the C library that Java has no words for. */
final class Posix {
    /** Where a function leaves the number of its error; its first argument. */
    static final StructLayout ERRNO = Linker.Option.captureStateLayout();

    private static final VarHandle NUMBER =
            ERRNO.varHandle(MemoryLayout.PathElement.groupElement("errno"));
    private static final int STDOUT = 1;
    private static final int STDERR = 2;

    private Posix() {}

    /** A function that returns an int, with {@link #ERRNO} before its arguments. */
    static MethodHandle function(String name, MemoryLayout... arguments) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(
                linker.defaultLookup()
                        .find(name)
                        .orElseThrow(() ->
                                DeviceException.of(
                                        "several processes need the POSIX function %s, which this system does not have",
                                        name)),
                FunctionDescriptor.of(JAVA_INT, arguments),
                Linker.Option.captureCallState("errno"));
    }

    /** The system's words for an error. */
    static String reason(MemorySegment errno) {
        Linker linker = Linker.nativeLinker();
        MethodHandle words =
                linker.downcallHandle(
                        linker.defaultLookup().findOrThrow("strerror"),
                        FunctionDescriptor.of(ADDRESS, JAVA_INT));
        try {
            var text = (MemorySegment) words.invokeExact((int) NUMBER.get(errno, 0L));
            return text.reinterpret(Long.MAX_VALUE).getString(0);
        } catch (Throwable e) { // C throws nothing
            throw new IllegalStateException(e);
        }
    }

    /**
     * Runs native code whose chatter on stdout belongs to stderr. What other threads print
     * meanwhile goes there too.
     */
    static <T> T printingToStderr(Supplier<T> work) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment errno = arena.allocate(ERRNO);
            MethodHandle dup = function("dup", JAVA_INT);
            MethodHandle dup2 = function("dup2", JAVA_INT, JAVA_INT);
            int stdout = (int) dup.invokeExact(errno, STDOUT);
            int turned = (int) dup2.invokeExact(errno, STDERR, STDOUT);
            try {
                return work.get();
            } finally {
                if (stdout >= 0) {
                    turned = (int) dup2.invokeExact(errno, stdout, STDOUT);
                    turned = (int) function("close", JAVA_INT).invokeExact(errno, stdout);
                }
            }
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) { // C throws nothing
            throw new IllegalStateException(e);
        }
    }
}
