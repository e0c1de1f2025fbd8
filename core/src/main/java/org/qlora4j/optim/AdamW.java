package org.qlora4j.optim;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.SafetensorsFile;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.FormatException;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.PagedMemory;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * AdamW with f32 state (arXiv 1711.05101), in the order of {@code torch.optim.AdamW}: decay, then
 * the step {@code p -= lr / c1 * m / (sqrt(v) / c2 + eps)} with {@code c1 = 1 - beta1^t} and {@code
 * c2 = sqrt(1 - beta2^t)}.
 */
public final class AdamW implements AutoCloseable {
    private static final String STEP = "step";

    private final TrainableParameters parameters;
    private final OptimConfig config;
    private final @Nullable PagedMemory paged;
    private final Tensor means; // m, the running mean of gradients
    private final Tensor squares; // v, the running mean of squared gradients
    private long step;

    /**
     * @param folder where paged state may lie
     */
    public AdamW(TrainableParameters parameters, OptimConfig config, Path folder) {
        this.parameters = parameters;
        this.config = config;
        long n = parameters.count();
        try (TensorScope scope = TensorScope.open()) {
            switch (config.type()) {
                case PAGED_ADAMW_32BIT -> {
                    paged = new PagedMemory(folder, 2 * n * Float.BYTES);
                    Tensor both = paged.floats();
                    means = TensorScope.release(both.narrow(0, 0, n));
                    squares = TensorScope.release(both.narrow(0, n, n));
                }
                case ADAMW_TORCH -> {
                    paged = null;
                    means = TensorScope.release(Tensors.zeros(DType.F32, n));
                    squares = TensorScope.release(Tensors.zeros(DType.F32, n));
                }
                default -> throw new IllegalStateException("no optimizer " + config.type());
            }
        }
    }

    /** One update of all weights from their gradients. */
    public void step(double learningRate) {
        step++;
        double c1 = 1 - Math.pow(config.beta1(), step);
        double c2 = Math.sqrt(1 - Math.pow(config.beta2(), step));
        parameters.forEachChunk(chunk -> {
            Tensor g = chunk.gradients();
            Tensor m = means.narrow(0, chunk.offset(), g.count());
            Tensor v = squares.narrow(0, chunk.offset(), g.count());
            if (chunk.decays() && config.weightDecay() > 0) {
                chunk.weights().mulInPlace(f32(1 - learningRate * config.weightDecay()));
            }
            m.lerpInPlace(g, 1 - config.beta1());
            v.mulInPlace(config.beta2()).addcmulInPlace(g, g, 1 - config.beta2());
            Tensor root = v.sqrt().mulInPlace(1 / c2).addInPlace(f32(config.epsilon()));
            chunk.weights().addcdivInPlace(m, root, f32(-learningRate / c1));
        });
    }

    /**
     * libtorch refuses a factor beyond f32; as infinity it makes weights that the caller sees are
     * not finite.
     */
    private static double f32(double factor) {
        return Math.abs(factor) > Float.MAX_VALUE
                ? Math.copySign(Double.POSITIVE_INFINITY, factor)
                : factor;
    }

    /** Updates so far. */
    public long steps() {
        return step;
    }

    /**
     * Writes the state as {@code PARAMETER.exp_avg} and {@code PARAMETER.exp_avg_sq}, torch's
     * names.
     */
    public void save(Path file) {
        try (Arena arena = Arena.ofConfined();
                TensorScope scope = TensorScope.open()) {
            SafetensorsWriter writer = new SafetensorsWriter(Map.of(STEP, Long.toString(step)));
            for (TrainableParameters.Slot slot : parameters.slots()) {
                String name = slot.parameter().name();
                TensorBytes.add(writer, name + ".exp_avg", part(means, slot), arena);
                TensorBytes.add(writer, name + ".exp_avg_sq", part(squares, slot), arena);
            }
            writer.write(file);
        }
    }

    /**
     * Reads what {@link #save} wrote for the same parameters.
     *
     * @throws FormatException if it belongs to other parameters
     */
    public void load(Path file) {
        try (SafetensorsFile stored = SafetensorsFile.open(file);
                TensorScope scope = TensorScope.open()) {
            for (TrainableParameters.Slot slot : parameters.slots()) {
                String name = slot.parameter().name();
                part(means, slot).copyFrom(read(stored, name + ".exp_avg", slot));
                part(squares, slot).copyFrom(read(stored, name + ".exp_avg_sq", slot));
            }
            step = Long.parseLong(stored.metadata().getOrDefault(STEP, "0"));
        }
    }

    private static Tensor part(Tensor vector, TrainableParameters.Slot slot) {
        return vector.narrow(0, slot.offset(), slot.count())
                .view(slot.parameter().master().shape());
    }

    private static Tensor read(SafetensorsFile stored, String name, TrainableParameters.Slot slot) {
        long[] shape = slot.parameter().master().shape();
        if (!stored.names().contains(name) || !Arrays.equals(stored.info(name).shape(), shape)) {
            throw FormatException.of(
                    "%s holds no %s of shape %s; it belongs to a run with other lora settings",
                    stored.path(), name, Arrays.toString(shape));
        }
        return TensorBytes.toTensor(stored.tensor(name));
    }

    @Override
    public void close() {
        means.close();
        squares.close();
        if (paged != null) {
            paged.close();
        }
    }
}
