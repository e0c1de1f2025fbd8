package org.qlora4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Random;
import java.util.function.IntFunction;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.opentest4j.TestAbortedException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.tensor.Cuda;
import org.qlora4j.tensor.CudaDriver;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Device;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * The CUDA kernels against the reference on the CPU, byte for byte. Runs on a GPU, or on the
 * stand-in driver of bench/gpu/standin, which runs the kernels on the CPU.
 */
@Tag("gpu")
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class FourBitCudaTest {
    /** What {@code cuDeviceGetName} of bench/gpu/standin says. */
    private static final String STAND_IN = "stand-in";

    private final Device before = Tensors.device();
    private Device device = Device.CPU;
    private FourBit kernels;

    @BeforeAll
    void compile() {
        try {
            CudaDriver driver = CudaDriver.open();
            assumeTrue(driver.deviceCount() > 0, "no CUDA device");
            if (!driver.name(0).equals(STAND_IN)) {
                assumeTrue(Cuda.deviceCount() > 0, "libtorch cannot use the CUDA device");
                device = Device.cuda(0);
            }
            kernels = CudaFourBit.compile(driver, Nvrtc.open(), 0);
        } catch (DeviceException e) {
            throw new TestAbortedException(e.getMessage());
        }
    }

    @AfterEach
    void back() {
        Tensors.setDevice(before);
    }

    /** Around 8 elements of a thread, 2048 of a thread block, and quantization blocks. */
    static List<Integer> lengths() {
        return List.of(1, 2, 7, 8, 9, 31, 63, 64, 65, 2047, 2048, 2049, 4099, 300_001, 1 << 20);
    }

    @ParameterizedTest(name = "{0} elements, seed 42")
    @MethodSource("lengths")
    void decodedWeights_equalTheReferenceOnTheCpu(int length) {
        int compared = 0;
        for (int blockSize : new int[] {32, 64, 128, 4096}) {
            for (boolean nested : new boolean[] {false, true}) {
                Case c = Case.random(length, blockSize, nested);
                for (DType type : List.of(DType.F32, DType.BF16, DType.F16)) {
                    Tensors.setDevice(Device.CPU);
                    byte[] expected = c.decode(new ReferenceFourBit(), type);
                    Tensors.setDevice(device);
                    assertThat(c.decode(kernels, type))
                            .as("%s, blocks of %d, nested %s", type, blockSize, nested)
                            .isEqualTo(expected);
                    compared++;
                }
            }
        }
        assertThat(compared).isEqualTo(24);
    }

    /** A view into other memory may begin at any byte: it is decoded all the same. */
    @ParameterizedTest(name = "output from element {0}, seed 42")
    @MethodSource("offsets")
    void outputThatBeginsAnywhere_isDecodedToo(int offset) {
        Case c = Case.random(1000, 64, true);
        Tensors.setDevice(Device.CPU);
        byte[] expected = c.decode(new ReferenceFourBit(), DType.BF16);
        Tensors.setDevice(device);
        assertThat(c.decode(kernels, n -> Tensors.empty(DType.BF16, n + 8).narrow(0, offset, n)))
                .isEqualTo(expected);
    }

    static List<Integer> offsets() {
        return List.of(1, 3, 8);
    }

    /** Random codes, scales and tables: every bit pattern that a file may hold. */
    private record Case(
            int length,
            int blockSize,
            CodeTable table,
            byte[] codes,
            float[] absmax,
            byte[] absmaxCodes,
            float[] nested,
            float[] map) {
        static Case random(int length, int blockSize, boolean nested) {
            Random random = new Random(42);
            byte[] codes = new byte[(length + 1) / 2];
            random.nextBytes(codes);
            int blocks = (length + blockSize - 1) / blockSize;
            byte[] absmaxCodes = new byte[blocks];
            random.nextBytes(absmaxCodes);
            return new Case(
                    length,
                    blockSize,
                    new CodeTable(floats(random, 16), floats(random, 15), new byte[16]),
                    codes,
                    floats(random, blocks),
                    absmaxCodes,
                    nested ? floats(random, (blocks + 255) / 256) : new float[0],
                    floats(random, 256));
        }

        private static float[] floats(Random random, int n) {
            float[] out = new float[n];
            for (int i = 0; i < n; i++) {
                out[i] = (float) (random.nextGaussian() * Math.pow(10, random.nextInt(5) - 3));
            }
            return out;
        }

        byte[] decode(FourBit kernels, DType type) {
            return decode(kernels, n -> Tensors.empty(type, n));
        }

        byte[] decode(FourBit kernels, IntFunction<Tensor> output) {
            try (TensorScope scope = TensorScope.open()) {
                Tensor out = output.apply(length);
                BlockScales scales =
                        nested.length == 0
                                ? BlockScales.plain(Tensors.of(absmax, absmax.length))
                                : new BlockScales(
                                        Tensors.of(absmaxCodes, absmaxCodes.length),
                                        Tensors.of(nested, nested.length),
                                        map,
                                        0.123f);
                kernels.dequantize(Tensors.of(codes, codes.length), scales, table, blockSize, out);
                MemorySegment bytes = MemorySegment.ofArray(new byte[(int) out.byteSize()]);
                out.copyTo(bytes);
                return bytes.toArray(ValueLayout.JAVA_BYTE);
            }
        }
    }
}
