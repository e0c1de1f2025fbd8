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

    /** Most rows of x at once, so that what belongs to each stays in registers. */
    static final int ROWS = 8;

    /** Bytes of x at once: the first cache of Intel's CPUs since Ice Lake and of Zen 5. */
    private static final int CACHE = 48 << 10;

    private MachineCode() {}

    /** Whether this is the system that the code is written for, which may yet refuse to run it. */
    static boolean fitsSystem() {
        return "Linux".equals(System.getProperty("os.name"))
                && "amd64".equals(System.getProperty("os.arch"));
    }

    /**
     * Loads a function that does nothing, and calls it.
     *
     * @throws DeviceException if this is not the system for it, or it lets no memory be executed
     */
    static void probe() {
        if (!fitsSystem()) {
            throw DeviceException.of(
                    "the avx512 kernels are for x86-64 Linux, not %s on %s; use qlora.kernels=vector",
                    System.getProperty("os.name"), System.getProperty("os.arch"));
        }
        var nothing = new Avx512Assembler();
        nothing.ret();
        try {
            load(nothing.code(), FunctionDescriptor.ofVoid()).invokeExact();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    /** Code that adds up neighbouring lines of W, each for neighbouring rows of x. */
    interface Sums {
        /**
         * @param firstRow of x
         * @param rows 1 to {@link #ROWS}
         * @param firstLine of W
         * @param sums written: [lines, rows]
         */
        void add(int firstRow, int rows, int firstLine, long lines, MemorySegment sums)
                throws Throwable;
    }

    /**
     * Writes all sums, by as many rows at once as registers and the first cache hold.
     *
     * @param y [rows, out]
     * @param out lines of W
     * @param fewest lines of a task
     * @param rowBytes of a row of x, in f32
     */
    static void run(
            Workers workers, FloatRows y, int rows, int out, int fewest, int rowBytes, Sums code) {
        int atOnce = Math.clamp(CACHE / rowBytes, 1, ROWS);
        for (int next = 0; next < rows; next += atOnce) {
            int first = next;
            int count = Math.min(atOnce, rows - first);
            workers.runLines(
                    out,
                    fewest,
                    (line, end) -> {
                        int lines = end - line;
                        float[] sums = FloatRows.scratch(lines * count);
                        try {
                            code.add(first, count, line, lines, MemorySegment.ofArray(sums));
                        } catch (RuntimeException | Error e) {
                            throw e;
                        } catch (Throwable e) { // machine code throws nothing
                            throw new IllegalStateException(e);
                        }
                        for (int row = 0; row < count; row++) {
                            long at = (long) (first + row) * out + line;
                            for (int i = 0; i < lines; i++) {
                                y.set(at + i, sums[i * count + row]);
                            }
                        }
                    });
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
                throw new DeviceException(
                        "the system gives no memory for machine code; use qlora.kernels=vector");
            }
            MemorySegment memory = MemorySegment.ofAddress(address).reinterpret(code.length);
            MemorySegment.copy(code, 0, memory, JAVA_BYTE, 0, code.length);
            int refused =
                    (int) protect.invokeExact(address, (long) code.length, PROT_READ | PROT_EXEC);
            if (refused != 0) {
                throw new DeviceException(
                        "the system lets no memory be executed (mprotect); use qlora.kernels=vector");
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
