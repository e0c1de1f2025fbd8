package org.qlora4j.tensor;

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
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.DeviceException;

/**
 * The part of the CUDA driver API (libcuda, which comes with NVIDIA's driver) that libtorch does
 * not offer: modules made at run time, launches, managed memory, facts about devices. Works in the
 * primary context of a device, which is libtorch's too.
 */
public final class CudaDriver {
    /** Attributes of a device, {@code CUdevice_attribute} in cuda.h. */
    private static final int CAPABILITY_MAJOR = 75;

    private static final int CAPABILITY_MINOR = 76;

    /** Managed memory that every stream of every device may use, {@code CU_MEM_ATTACH_GLOBAL}. */
    private static final int ATTACH_GLOBAL = 1;

    private static final class Holder {
        static final @Nullable CudaDriver DRIVER;
        static final @Nullable DeviceException FAILURE;

        static {
            CudaDriver driver = null;
            DeviceException failure = null;
            try {
                driver = new CudaDriver(SymbolLookup.libraryLookup("libcuda.so.1", Arena.global()));
            } catch (IllegalArgumentException e) {
                failure =
                        new DeviceException(
                                "no NVIDIA driver: libcuda.so.1 not found; install the driver of the GPU",
                                e);
            } catch (DeviceException e) {
                failure = e;
            }
            DRIVER = driver;
            FAILURE = failure;
        }
    }

    private final SymbolLookup library;
    private final MethodHandle launch;

    /** Whether the thread is known to have a current context: asking costs as much as a launch. */
    private final ThreadLocal<Boolean> hasContext = ThreadLocal.withInitial(() -> false);

    private CudaDriver(SymbolLookup library) {
        this.library = library;
        this.launch =
                function(
                        "cuLaunchKernel",
                        ADDRESS,
                        JAVA_INT,
                        JAVA_INT,
                        JAVA_INT,
                        JAVA_INT,
                        JAVA_INT,
                        JAVA_INT,
                        JAVA_INT,
                        ADDRESS,
                        ADDRESS,
                        ADDRESS);
        call("cuInit", function("cuInit", JAVA_INT), 0);
    }

    /**
     * The driver of this machine.
     *
     * @throws DeviceException if there is none, or it does not work
     */
    public static CudaDriver open() {
        CudaDriver driver = Holder.DRIVER;
        if (driver == null) {
            throw new DeviceException(
                    String.valueOf(Holder.FAILURE == null ? null : Holder.FAILURE.getMessage()),
                    Holder.FAILURE);
        }
        return driver;
    }

    // ---- facts

    /** The newest CUDA version this driver runs, e.g. {@code 13.1}. */
    public String cudaVersion() {
        int version = (int) number("cuDriverGetVersion", function("cuDriverGetVersion", ADDRESS));
        return version / 1000 + "." + version % 1000 / 10;
    }

    /** Devices, as {@code CUDA_VISIBLE_DEVICES} leaves them. */
    public int deviceCount() {
        return (int) number("cuDeviceGetCount", function("cuDeviceGetCount", ADDRESS));
    }

    /** Name of a device, e.g. {@code NVIDIA H100 80GB HBM3}. */
    public String name(int index) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocate(256);
            call(
                    "cuDeviceGetName",
                    function("cuDeviceGetName", ADDRESS, JAVA_INT, JAVA_INT),
                    text,
                    (int) text.byteSize(),
                    device(index));
            return text.getString(0);
        }
    }

    /** Compute capability of a device times ten: 90 for 9.0. */
    public int computeCapability(int index) {
        return 10 * attribute(CAPABILITY_MAJOR, index) + attribute(CAPABILITY_MINOR, index);
    }

    private int attribute(int attribute, int index) {
        MethodHandle get = function("cuDeviceGetAttribute", ADDRESS, JAVA_INT, JAVA_INT);
        return (int) number("cuDeviceGetAttribute", get, attribute, device(index));
    }

    /** Bytes of a device's memory. */
    public long memory(int index) {
        MethodHandle get = function("cuDeviceTotalMem_v2", ADDRESS, JAVA_INT);
        return number("cuDeviceTotalMem", get, device(index));
    }

    /** Bytes of a device's memory that nobody has taken, this process and others. */
    public long freeMemory(int index) {
        ensureContext(index);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment both = arena.allocate(JAVA_LONG, 2);
            MethodHandle get = function("cuMemGetInfo_v2", ADDRESS, ADDRESS);
            call("cuMemGetInfo", get, both, both.asSlice(8));
            return both.getAtIndex(JAVA_LONG, 0);
        }
    }

    // ---- kernels

    /**
     * Loads compiled code into a device, for good.
     *
     * @param image CUBIN or PTX
     * @return the module, for {@link #function(long, String)}
     */
    public long loadModule(byte[] image, int index) {
        ensureContext(index);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment code = arena.allocate(image.length + 1L, 16); // PTX ends in a zero byte
            MemorySegment.copy(image, 0, code, JAVA_BYTE, 0, image.length);
            MethodHandle load = function("cuModuleLoadData", ADDRESS, ADDRESS);
            return number("cuModuleLoadData", load, code);
        }
    }

    /** A kernel of a module, by its C name. */
    public long function(long module, String name) {
        try (Arena arena = Arena.ofConfined()) {
            MethodHandle get = function("cuModuleGetFunction", ADDRESS, ADDRESS, ADDRESS);
            return number(
                    "cuModuleGetFunction",
                    get,
                    MemorySegment.ofAddress(module),
                    arena.allocateFrom(name));
        }
    }

    /**
     * Queues a kernel on libtorch's current stream.
     *
     * @param function from {@link #function(long, String)}
     * @param blocks thread blocks, at least 1
     * @param threads threads of a block
     * @param parameters addresses of the kernel's arguments, in order; read before this returns
     */
    public void launch(
            int index, long function, int blocks, int threads, MemorySegment parameters) {
        ensureContext(index);
        int result;
        try {
            result =
                    (int)
                            launch.invokeExact(
                                    MemorySegment.ofAddress(function),
                                    blocks,
                                    1,
                                    1,
                                    threads,
                                    1,
                                    1,
                                    0,
                                    MemorySegment.ofAddress(Cuda.currentStream(index)),
                                    parameters,
                                    MemorySegment.NULL);
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
        check("cuLaunchKernel", result);
    }

    // ---- managed memory

    /** Memory that pages between device and host as either needs room (unified memory). */
    MemorySegment allocateManaged(long bytes, int index) {
        ensureContext(index);
        MethodHandle allocate = function("cuMemAllocManaged", ADDRESS, JAVA_LONG, JAVA_INT);
        long address = number("cuMemAllocManaged", allocate, bytes, ATTACH_GLOBAL);
        return Tensors.segmentAt(address, bytes);
    }

    /** Frees what {@link #allocateManaged} gave. */
    void freeManaged(MemorySegment memory) {
        call("cuMemFree", function("cuMemFree_v2", JAVA_LONG), memory.address());
    }

    // ---- how it is called

    /** Makes the primary context current where this thread has none. */
    private void ensureContext(int index) {
        if (hasContext.get()) {
            return;
        }
        if (number("cuCtxGetCurrent", function("cuCtxGetCurrent", ADDRESS)) == 0) {
            MethodHandle retain = function("cuDevicePrimaryCtxRetain", ADDRESS, JAVA_INT);
            long context = number("cuDevicePrimaryCtxRetain", retain, device(index));
            MethodHandle set = function("cuCtxSetCurrent", ADDRESS);
            call("cuCtxSetCurrent", set, MemorySegment.ofAddress(context));
        }
        hasContext.set(true);
    }

    private int device(int index) {
        MethodHandle get = function("cuDeviceGet", ADDRESS, JAVA_INT);
        return (int) number("cuDeviceGet", get, index);
    }

    private MethodHandle function(String name, MemoryLayout... arguments) {
        MemorySegment address =
                library.find(name)
                        .orElseThrow(() ->
                                DeviceException.of(
                                        "libcuda.so.1 has no function %s; install a newer NVIDIA driver",
                                        name));
        return Linker.nativeLinker()
                .downcallHandle(address, FunctionDescriptor.of(JAVA_INT, arguments));
    }

    /**
     * Calls a function that writes one number of up to 64 bits to where its first argument says.
     */
    private long number(String name, MethodHandle function, Object... rest) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(JAVA_LONG); // little-endian: an int is its low half
            Object[] all = new Object[rest.length + 1];
            all[0] = out;
            System.arraycopy(rest, 0, all, 1, rest.length);
            call(name, function, all);
            return out.get(JAVA_LONG, 0);
        }
    }

    private void call(String name, MethodHandle function, Object... arguments) {
        int result;
        try {
            result = (int) function.invokeWithArguments(arguments);
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
        check(name, result);
    }

    private void check(String name, int result) {
        if (result == 0) {
            return;
        }
        String text = "error " + result;
        MethodHandle describe = function("cuGetErrorString", JAVA_INT, ADDRESS);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pointer = arena.allocate(ADDRESS);
            if ((int) describe.invokeWithArguments(result, pointer) == 0) {
                text += ", " + pointer.get(ADDRESS, 0).reinterpret(Long.MAX_VALUE).getString(0);
            }
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
        throw DeviceException.of(
                "the CUDA driver failed in %s: %s; run 'qlora doctor'", name, text);
    }
}
