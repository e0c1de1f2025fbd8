package org.qlora4j.bench;

import java.lang.annotation.ElementType;
import java.lang.annotation.Target;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Device;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * What all benchmarks of kernels share: which set is timed, on which model's shapes, and the scope
 * that owns their tensors. One class family, since JMH's annotations reach a benchmark only by
 * inheritance.
 *
 * <p>All runs on JMH's one worker thread, which so takes the place of the engine thread.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 500, timeUnit = TimeUnit.MILLISECONDS)
@Measurement(iterations = 4, time = 500, timeUnit = TimeUnit.MILLISECONDS)
public abstract class TwinBench {
    /**
     * The set that is timed; {@code sse}, {@code avx2} and {@code avx512} differ from {@code
     * vector} in few kernels.
     */
    @Param({"vector", "reference"})
    public String kernels = "vector";

    /** The model whose shapes are timed. */
    @Param({"smollm2", "llama-1.1b"})
    public String model = "smollm2";

    /** The compute dtype. */
    @Param("BF16")
    public DType dtype = DType.BF16;

    /** Threads of the vector kernels and of libtorch. */
    @Param("1")
    public int threads = 1;

    Kernels timed;
    Kernels reference;
    ModelShape shape;
    private TensorScope scope;

    @Setup
    @Initializer
    public final void open() {
        Engine.setThreads(threads);
        scope = TensorScope.open();
        timed = Kernels.choose(Device.CPU, kernels);
        reference = Kernels.choose(Device.CPU, "reference");
        shape = ModelShape.of(model);
        prepare();
    }

    /**
     * Makes the input and compares what the timed kernel answers with the reference.
     *
     * @throws IllegalStateException if the answer is wrong
     */
    @Initializer
    abstract void prepare();

    /** Frees what the scope does not own. */
    void free() {}

    @TearDown
    public final void close() {
        free();
        scope.close();
    }

    /** Tells NullAway that fields get their values here: JMH makes states without arguments. */
    @Target(ElementType.METHOD)
    private @interface Initializer {}

    /** Normal values of the compute dtype. */
    final Tensor normal(long seed, double std, long... sizes) {
        return Tensors.normal(seed, std, sizes).to(dtype);
    }

    /** Room of the compute dtype that a kernel must fill: NaN. */
    final Tensor unwritten(long... sizes) {
        return Tensors.full(Double.NaN, dtype, sizes);
    }

    /** What the tests of row kernels allow, relative to the largest value. */
    final double tolerance() {
        return switch (dtype) {
            case BF16 -> 0x1p-8; // half a unit, and sums in another order may flip a rounding
            case F64 -> 1e-12;
            default -> 2e-6;
        };
    }

    /** Bytes of some tensors. */
    static long bytes(Tensor... tensors) {
        long sum = 0;
        for (Tensor tensor : tensors) {
            sum += tensor.byteSize();
        }
        return sum;
    }
}
