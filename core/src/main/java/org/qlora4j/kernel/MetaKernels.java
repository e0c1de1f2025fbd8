package org.qlora4j.kernel;

import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Device;
import org.qlora4j.tensor.MetaDevice;
import org.qlora4j.tensor.Tensor;

/**
 * Kernels that compute nothing, for plans of memory: those of a CPU or GPU that hold nothing beside
 * their arguments and results. Plain kernels need no such twin, since libtorch runs them
 * {@linkplain MetaDevice without memory}.
 *
 * @param tiles whether attention in F32 is done in tiles
 */
record MetaKernels(boolean tiles)
        implements FourBit,
                FourBitProduct,
                AttentionSoftmax,
                TiledAttention,
                CrossEntropyRows,
                NormRows,
                LayerNormRows,
                RotaryRows,
                ElementRows,
                ActivationRows,
                DenseProduct,
                RowInt8,
                BlockWeights,
                EightBitAdam {
    private static final ThreadLocal<@Nullable Kernels> CURRENT = new ThreadLocal<>();

    @Override
    public void quantize(
            Tensor values, CodeTable table, int blockSize, Tensor codes, Tensor absmax) {}

    @Override
    public void dequantize(
            Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor out) {}

    @Override
    public boolean takes(DType dtype, long rows, long in, int blockSize) {
        return false;
    }

    @Override
    public void multiply(
            Tensor x, Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor y) {}

    @Override
    public void forward(Tensor scores, double scale, BlockMask mask) {}

    @Override
    public void backward(Tensor p, Tensor dp, double scale, BlockMask mask) {}

    @Override
    public boolean takes(DType dtype) {
        return tiles && dtype == DType.F32;
    }

    @Override
    public void forward(
            Tensor q,
            Tensor k,
            Tensor v,
            double scale,
            double softcap,
            BlockMask mask,
            Tensor out,
            @Nullable Tensor logSums) {}

    @Override
    public void backward(Forward forward, Tensor dOut, Tensor dq, Tensor dk, Tensor dv) {}

    @Override
    public double lossAndGradient(
            Tensor x, Tensor weight, Tensor logits, long[] labels, boolean gradient) {
        return 1;
    }

    @Override
    public void forward(
            Tensor x, Tensor weight, float shift, double eps, Tensor y, @Nullable Tensor inverse) {}

    @Override
    public void backward(
            Tensor x, Tensor weight, float shift, Tensor inverse, Tensor dy, Tensor dx) {}

    @Override
    public void backward(Tensor x, Tensor weight, Tensor statistics, Tensor dy, Tensor dx) {}

    @Override
    public void forward(
            Tensor x,
            Tensor weight,
            Tensor bias,
            double eps,
            Tensor y,
            @Nullable Tensor statistics) {}

    @Override
    public void forward(Activation f, Tensor x, Tensor y) {}

    @Override
    public void backward(Activation f, Tensor x, Tensor dy, Tensor dx) {}

    @Override
    public void rotate(Tensor x, Tensor cos, Tensor sin, int direction, Tensor out) {}

    @Override
    public void add(Tensor a, Tensor b, Tensor out) {}

    @Override
    public void gate(Gate f, Tensor gate, Tensor up, Tensor out) {}

    @Override
    public boolean takes(DType dtype, long rows) {
        return false;
    }

    @Override
    public void multiply(Tensor x, Tensor weight, Tensor y) {}

    @Override
    public void addUpdates(Tensor x, List<Update> parts, Tensor y) {}

    @Override
    public void round(Tensor x, double threshold, Tensor out) {}

    @Override
    public void decode(Tensor codes, Tensor scales, Tensor out) {}

    @Override
    public void decode(Tensor blocks, BlockType type, Tensor out) {}

    @Override
    public void multiply(Tensor x, Tensor blocks, BlockType type, Tensor y) {}

    @Override
    public void step(Tensor weights, Tensor gradients, EightBitMoments moments, AdamStep step) {}

    /** The set that this thread computes without memory with; null if it computes with memory. */
    static @Nullable Kernels ofThisThread() {
        return CURRENT.get();
    }

    /** Computes without memory, with kernels that hold what those of some device do. */
    static <T> T run(KernelMemory memory, Supplier<T> computation) {
        return MetaDevice.run(() -> {
            CURRENT.set(standIn(memory));
            try {
                return computation.get();
            } finally {
                CURRENT.remove();
            }
        });
    }

    /** The set that stands for one of a device in plans. */
    private static Kernels standIn(KernelMemory memory) {
        MetaKernels none = new MetaKernels(memory.tiles());
        Kernels plain = Kernels.reference(Device.META, "a plan of memory");
        boolean rows = memory.plainRows();
        return new Kernels(
                Device.META,
                "meta",
                plain.reason(),
                memory.plainDecoding() ? plain.fourBit() : none,
                none,
                rows ? plain.attentionSoftmax() : none,
                none,
                plain.streamAttention(),
                rows ? plain.crossEntropy() : none,
                rows ? plain.norm() : none,
                rows ? plain.layerNorm() : none,
                rows ? plain.rotary() : none,
                rows ? plain.elements() : none,
                rows ? plain.activations() : none,
                none,
                plain.eightBitProduct(),
                rows ? plain.rowInt8() : none,
                rows ? plain.blockWeights() : none,
                rows ? plain.eightBitAdam() : none);
    }
}
