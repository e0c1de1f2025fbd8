package org.qlora4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.nio.charset.StandardCharsets;
import java.util.EnumMap;
import java.util.Map;
import org.qlora4j.tensor.CudaDriver;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link FourBit} on a CUDA device: decoding, which every forward and backward pass does for every
 * weight, is one kernel of {@code four_bit.cu}, compiled for the device when this is made.
 * Quantizing, which happens once, is left to libtorch's operations.
 */
final class CudaFourBit implements FourBit {
    private static final String SOURCE = "four_bit.cu";

    /** Threads of a thread block, and elements that a thread decodes. */
    private static final int THREADS = 256;

    private static final int ELEMENTS = 8;

    /** {@code struct Weight} of the source. */
    private static final StructLayout WEIGHT =
            MemoryLayout.structLayout(
                    ADDRESS.withName("codes"),
                    ADDRESS.withName("absmax"),
                    ADDRESS.withName("nested"),
                    JAVA_LONG.withName("n"),
                    JAVA_FLOAT.withName("offset"),
                    JAVA_INT.withName("blockShift"),
                    JAVA_INT.withName("nestedShift"),
                    MemoryLayout.paddingLayout(4));

    private static final long MAP_BYTES = 256 * Float.BYTES;

    private final CudaDriver driver;
    private final int device;
    private final Map<DType, Long> kernels; // by type of the output
    private final ReferenceFourBit reference = new ReferenceFourBit();

    private CudaFourBit(CudaDriver driver, int device, Map<DType, Long> kernels) {
        this.driver = driver;
        this.device = device;
        this.kernels = kernels;
    }

    /**
     * Compiles the kernels for a device and loads them into it.
     *
     * @throws org.qlora4j.error.DeviceException if compiler or driver cannot
     */
    static CudaFourBit compile(CudaDriver driver, Nvrtc compiler, int device) {
        byte[] code = compiler.compile(source(), SOURCE, driver.computeCapability(device));
        long module = driver.loadModule(code, device);
        Map<DType, Long> kernels = new EnumMap<>(DType.class);
        kernels.put(DType.F32, driver.function(module, "dequantize_f32"));
        kernels.put(DType.BF16, driver.function(module, "dequantize_bf16"));
        kernels.put(DType.F16, driver.function(module, "dequantize_f16"));
        return new CudaFourBit(driver, device, kernels);
    }

    /** The CUDA C of the kernels. */
    static String source() {
        try (InputStream in = CudaFourBit.class.getResourceAsStream(SOURCE)) {
            if (in == null) {
                throw new IllegalStateException(SOURCE + " is missing from the jar");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void quantize(
            Tensor values, CodeTable table, int blockSize, Tensor codes, Tensor absmax) {
        reference.quantize(values, table, blockSize, codes, absmax);
    }

    @Override
    public void dequantize(
            Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor out) {
        Long kernel = kernels.get(out.dtype());
        if (kernel == null) {
            throw new IllegalArgumentException(
                    "the CUDA kernels write F32, BF16 or F16, not " + out.dtype());
        }
        if (blockSize < ELEMENTS || Integer.bitCount(blockSize) != 1) {
            throw new IllegalArgumentException(
                    "blocks must be powers of two from " + ELEMENTS + ", not " + blockSize);
        }
        if (codes.address() % 4 != 0 || out.address() % 16 != 0) { // views into others' memory
            reference.dequantize(codes, scales, table, blockSize, out);
            return;
        }
        long n = out.count();
        long perBlock = (long) THREADS * ELEMENTS;
        int blocks = Math.toIntExact((n + perBlock - 1) / perBlock);
        if (blocks == 0) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment parameters = arena.allocate(ADDRESS, 4);
            parameters.setAtIndex(ADDRESS, 0, weight(codes, scales, blockSize, n, arena));
            parameters.setAtIndex(ADDRESS, 1, arena.allocateFrom(JAVA_FLOAT, table.levels()));
            parameters.setAtIndex(ADDRESS, 2, map(scales, arena));
            parameters.setAtIndex(ADDRESS, 3, arena.allocateFrom(JAVA_LONG, out.address()));
            driver.launch(device, kernel, blocks, THREADS, parameters);
        }
    }

    private static MemorySegment weight(
            Tensor codes, BlockScales scales, int blockSize, long n, Arena arena) {
        MemorySegment w = arena.allocate(WEIGHT);
        Tensor nested = scales.nestedAbsmax();
        w.set(JAVA_LONG, at("codes"), codes.address());
        w.set(JAVA_LONG, at("absmax"), scales.absmax().address());
        w.set(JAVA_LONG, at("nested"), nested == null ? 0 : nested.address());
        w.set(JAVA_LONG, at("n"), n);
        w.set(JAVA_FLOAT, at("offset"), scales.offset());
        w.set(JAVA_INT, at("blockShift"), Integer.numberOfTrailingZeros(blockSize));
        w.set(JAVA_INT, at("nestedShift"), Integer.numberOfTrailingZeros(BlockScales.NESTED_BLOCK));
        return w;
    }

    private static long at(String field) {
        return WEIGHT.byteOffset(MemoryLayout.PathElement.groupElement(field));
    }

    /** The 256 values of the 8-bit codes; zeros where scales are plain. */
    private static MemorySegment map(BlockScales scales, Arena arena) {
        MemorySegment out = arena.allocate(MAP_BYTES, Float.BYTES);
        MemorySegment.copy(scales.map(), 0, out, JAVA_FLOAT, 0, scales.map().length);
        return out;
    }
}
