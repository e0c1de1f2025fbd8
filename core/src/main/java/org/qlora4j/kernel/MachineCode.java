package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import org.qlora4j.error.DeviceException;

/**
 * Memory that the processor may execute, on Linux: written first, then made executable and
 * read-only, never both. It stays until the process ends.
 */
final class MachineCode {
    // of Linux's sys/mman.h
    private static final int PROT_READ = 1;
    private static final int PROT_WRITE = 2;
    private static final int PROT_EXEC = 4;
    private static final int MAP_PRIVATE = 0x02;
    private static final int MAP_ANONYMOUS = 0x20;
    private static final long MAP_FAILED = -1;

    /** Bytes from a load of weights to what is asked for with it. */
    static final int AHEAD = 4096;

    /** Bytes of x to read again and again: what the first cache holds, of most such CPUs. */
    static final int CACHE = 48 << 10;

    private MachineCode() {}

    /**
     * Whether this is the system that the code is written for; that the CPU has AVX-512 is known
     * from the width of vectors.
     *
     * @throws DeviceException if not
     */
    static void requireAvx512() {
        String system = System.getProperty("os.name") + " on " + System.getProperty("os.arch");
        if (!system.equals("Linux on amd64")) {
            throw new DeviceException("the avx512 kernels are for x86-64 Linux, not " + system);
        }
    }

    /**
     * A function that calls the code by the C calling convention.
     *
     * @param shape its arguments; arrays of Java may be passed, so it must not run for long
     * @throws DeviceException if this system gives no executable memory
     */
    static MethodHandle load(byte[] code, FunctionDescriptor shape) {
        Linker linker = Linker.nativeLinker();
        MethodHandle map =
                function(
                        "mmap",
                        FunctionDescriptor.of(
                                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT,
                                JAVA_LONG));
        MethodHandle protect =
                function(
                        "mprotect",
                        FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
        try {
            int flags = MAP_PRIVATE | MAP_ANONYMOUS;
            int writable = PROT_READ | PROT_WRITE;
            long address = (long) map.invokeExact(0L, (long) code.length, writable, flags, -1, 0L);
            if (address == MAP_FAILED) {
                throw new DeviceException("the system gives no memory for machine code");
            }
            MemorySegment memory = MemorySegment.ofAddress(address).reinterpret(code.length);
            MemorySegment.copy(code, 0, memory, JAVA_BYTE, 0, code.length);
            int refused =
                    (int) protect.invokeExact(address, (long) code.length, PROT_READ | PROT_EXEC);
            if (refused != 0) {
                throw new DeviceException("the system lets no memory be executed (mprotect)");
            }
            return linker.downcallHandle(memory, shape, Linker.Option.critical(true));
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static MethodHandle function(String name, FunctionDescriptor shape) {
        Linker linker = Linker.nativeLinker();
        MemorySegment address =
                linker.defaultLookup()
                        .find(name)
                        .orElseThrow(() -> new DeviceException("the system has no " + name));
        return linker.downcallHandle(address, shape);
    }
}
