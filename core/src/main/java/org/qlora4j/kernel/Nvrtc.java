package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Locale;
import org.qlora4j.error.DeviceException;

/**
 * NVIDIA's compiler of CUDA C as a library (NVRTC), which comes with the CUDA toolkit. It needs no
 * GPU to compile for one.
 */
final class Nvrtc {
    /** In the order of preference; the last is there only where development files are. */
    private static final List<String> NAMES =
            List.of(
                    "libnvrtc.so.13",
                    "libnvrtc.so.12",
                    "libnvrtc.so",
                    "/usr/local/cuda/lib64/libnvrtc.so.13",
                    "/usr/local/cuda/lib64/libnvrtc.so");

    private final String name;
    private final SymbolLookup library;

    private Nvrtc(String name, SymbolLookup library) {
        this.name = name;
        this.library = library;
    }

    /**
     * The compiler of this machine.
     *
     * @throws DeviceException if there is none
     */
    static Nvrtc open() {
        for (String name : NAMES) {
            try {
                return new Nvrtc(name, SymbolLookup.libraryLookup(name, Arena.global()));
            } catch (IllegalArgumentException notThere) {
                // the next one
            }
        }
        throw DeviceException.of(
                "no NVRTC: %s not found; install the CUDA toolkit and put its lib64 on LD_LIBRARY_PATH",
                NAMES.getFirst());
    }

    /** File and version, e.g. {@code libnvrtc.so.13 (13.1)}. */
    String describe() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment major = arena.allocate(JAVA_INT);
            MemorySegment minor = arena.allocate(JAVA_INT);
            call("nvrtcVersion", List.of(ADDRESS, ADDRESS), major, minor);
            return "%s (%d.%d)".formatted(name, major.get(JAVA_INT, 0), minor.get(JAVA_INT, 0));
        }
    }

    /**
     * Compiles CUDA C++17 for one kind of device.
     *
     * @param fileName for messages of the compiler
     * @param capability compute capability times ten: 90 for 9.0
     * @return CUBIN: machine code, which a driver older than this compiler loads too
     * @throws DeviceException if the compiler does not know the device
     */
    byte[] compile(String source, String fileName, int capability) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = arena.allocate(ADDRESS);
            check(
                    "nvrtcCreateProgram",
                    call(
                            "nvrtcCreateProgram",
                            List.of(ADDRESS, ADDRESS, ADDRESS, JAVA_INT, ADDRESS, ADDRESS),
                            handle,
                            arena.allocateFrom(source),
                            arena.allocateFrom(fileName),
                            0,
                            MemorySegment.NULL,
                            MemorySegment.NULL));
            MemorySegment program = handle.get(ADDRESS, 0);
            try {
                List<String> options =
                        List.of("--gpu-architecture=sm_" + capability, "--std=c++17");
                MemorySegment pointers = arena.allocate(ADDRESS, options.size());
                for (int i = 0; i < options.size(); i++) {
                    pointers.setAtIndex(ADDRESS, i, arena.allocateFrom(options.get(i)));
                }
                int result =
                        call(
                                "nvrtcCompileProgram",
                                List.of(ADDRESS, JAVA_INT, ADDRESS),
                                program,
                                options.size(),
                                pointers);
                if (result != 0) {
                    throw DeviceException.of(
                            "%s cannot compile %s for compute capability %s: %s",
                            describe(),
                            fileName,
                            capability(capability),
                            firstError(log(program, arena), result));
                }
                return bytes(program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN", arena);
            } finally {
                call("nvrtcDestroyProgram", List.of(ADDRESS), handle);
            }
        }
    }

    /** As NVIDIA writes it: 90 is 9.0. */
    static String capability(int timesTen) {
        return String.format(Locale.ROOT, "%d.%d", timesTen / 10, timesTen % 10);
    }

    private String log(MemorySegment program, Arena arena) {
        byte[] text = bytes(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog", arena);
        return new String(text, java.nio.charset.StandardCharsets.UTF_8).replace("\0", "");
    }

    private static String firstError(String log, int result) {
        return log.lines()
                .filter(line -> line.contains("error"))
                .findFirst()
                .orElse("nvrtc error " + result);
    }

    private byte[] bytes(MemorySegment program, String sizeOf, String get, Arena arena) {
        MemorySegment size = arena.allocate(JAVA_LONG);
        check(sizeOf, call(sizeOf, List.of(ADDRESS, ADDRESS), program, size));
        MemorySegment out = arena.allocate(Math.max(1, size.get(JAVA_LONG, 0)));
        check(get, call(get, List.of(ADDRESS, ADDRESS), program, out));
        return out.asSlice(0, size.get(JAVA_LONG, 0)).toArray(JAVA_BYTE);
    }

    private void check(String function, int result) {
        if (result != 0) {
            throw DeviceException.of("%s failed in %s: error %d", name, function, result);
        }
    }

    private int call(String function, List<MemoryLayout> types, Object... arguments) {
        MemorySegment address =
                library.find(function)
                        .orElseThrow(() ->
                                DeviceException.of(
                                        "%s has no function %s; install CUDA 12 or later",
                                        name, function));
        MethodHandle handle =
                Linker.nativeLinker()
                        .downcallHandle(
                                address,
                                FunctionDescriptor.of(
                                        JAVA_INT, types.toArray(MemoryLayout[]::new)));
        try {
            return (int) handle.invokeWithArguments(arguments);
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }
}
