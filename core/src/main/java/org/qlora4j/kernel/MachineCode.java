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

    private MachineCode() {}

    /** Whether this is the system that the code is written for, which may yet refuse to run it. */
    static boolean fitsSystem() {
        return fits(System.getProperty("os.name"), System.getProperty("os.arch"));
    }

    /**
     * Linux on x86-64 alone: macOS lets no page be writable first and executable then (W^X), and
     * the calls are Linux's.
     */
    static boolean fits(String system, String processor) {
        return system.equals("Linux") && processor.equals("amd64");
    }

    /**
     * Loads a function that does nothing, and calls it.
     *
     * @throws DeviceException if this is not the system for it, or it lets no memory be executed
     */
    static void probe() {
        if (!fitsSystem()) {
            throw DeviceException.of(
                    "kernels in machine code are for x86-64 Linux, not %s on %s; use qlora.kernels=vector",
                    System.getProperty("os.name"), System.getProperty("os.arch"));
        }
        var nothing = new Avx2Assembler();
        nothing.ret();
        try {
            load(nothing.code(), FunctionDescriptor.ofVoid()).invokeExact();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * A function that calls the code by the C calling convention.
     *
     * @param shape its arguments; arrays of Java may be passed, so it must not run for long
     * @throws DeviceException if this system gives no executable memory
     */
    static MethodHandle load(byte[] code, FunctionDescriptor shape) {
        try {
            MemorySegment memory = map(code.length);
            MemorySegment.copy(code, 0, memory, JAVA_BYTE, 0, code.length);
            protect(memory, PROT_READ | PROT_EXEC);
            return Linker.nativeLinker()
                    .downcallHandle(memory, shape, Linker.Option.critical(true));
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) { // C throws nothing
            throw new IllegalStateException(e);
        }
    }

    /** Memory of its own pages, to read and write, until the process ends. */
    static MemorySegment map(long bytes) throws Throwable {
        MethodHandle map =
                function(
                        "mmap",
                        FunctionDescriptor.of(
                                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT,
                                JAVA_LONG));
        int writable = PROT_READ | PROT_WRITE;
        int flags = MAP_PRIVATE | MAP_ANONYMOUS;
        long address = (long) map.invokeExact(0L, bytes, writable, flags, -1, 0L);
        if (address == MAP_FAILED) {
            throw new DeviceException(
                    "the system gives no memory for machine code; use qlora.kernels=vector");
        }
        return MemorySegment.ofAddress(address).reinterpret(bytes);
    }

    /**
     * Gives whole pages other rights.
     *
     * @param rights 0, or what of {@code PROT_} is allowed
     */
    static void protect(MemorySegment pages, int rights) throws Throwable {
        MethodHandle protect =
                function(
                        "mprotect",
                        FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_INT));
        int refused = (int) protect.invokeExact(pages.address(), pages.byteSize(), rights);
        if (refused != 0) {
            throw new DeviceException(
                    "the system lets no memory be executed (mprotect); use qlora.kernels=vector");
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
