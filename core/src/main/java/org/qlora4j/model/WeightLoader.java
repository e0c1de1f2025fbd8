package org.qlora4j.model;

import java.lang.foreign.Arena;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.DequantizationBuffer;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Weight;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.StoredInfo;
import org.qlora4j.checkpoint.StoredQuantized;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.FormatException;
import org.qlora4j.lora.LoraLinear;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * Reads the weights of a checkpoint one by one in the form in which a model holds them: linears in
 * 4 bits, everything else in the compute dtype. At any moment there is the model so far and one
 * tensor.
 */
final class WeightLoader {
    private final Checkpoint checkpoint;
    private final Bnb4bit stored4bit;
    private final QuantConfig quantization;
    private final DType compute;
    private final boolean trainable;
    private final Shared shared = new Shared(new DequantizationBuffer());

    /** What all layers of a model share. */
    record Shared(DequantizationBuffer buffer) implements AutoCloseable {
        @Override
        public void close() {
            buffer.close();
        }
    }

    /**
     * @param trainable whether the weights learn; they must then not be quantized
     */
    WeightLoader(
            Checkpoint checkpoint, QuantConfig quantization, DType compute, boolean trainable) {
        this.checkpoint = checkpoint;
        this.stored4bit = Bnb4bit.of(checkpoint);
        this.quantization = quantization;
        this.compute = compute;
        this.trainable = trainable;
        if (trainable && quantization.load4bit()) {
            throw new IllegalArgumentException("weights in 4 bits cannot learn");
        }
    }

    DType compute() {
        return compute;
    }

    Shared shared() {
        return shared;
    }

    boolean has(String name) {
        return checkpoint.has(name);
    }

    /** A weight that is never quantized. */
    Parameter parameter(String name, long... shape) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor value = read(name, shape);
            return trainable
                    ? Parameter.trainable(name, value.to(compute.wide()), compute)
                    : Parameter.frozen(name, value.to(compute));
        }
    }

    /**
     * A linear layer: its weight {@code path.weight} [out, in], in 4 bits if so configured, and
     * perhaps {@code path.bias}.
     */
    LoraLinear linear(String path, int out, int in, boolean bias) {
        Weight weight = weight(path + ".weight", out, in);
        return new LoraLinear(path, weight, bias ? parameter(path + ".bias", out) : null);
    }

    private Weight weight(String name, long out, long in) {
        if (stored4bit.has(name)) {
            return new Weight.Quantized(stored(name, out, in), shared.buffer);
        }
        if (!quantization.load4bit()) {
            return new Weight.Dense(parameter(name, out, in));
        }
        try (TensorScope scope = TensorScope.open()) {
            return new Weight.Quantized(
                    QuantizedMatrix.quantize(read(name, out, in), quantization), shared.buffer);
        }
    }

    private QuantizedMatrix stored(String name, long... shape) {
        try (Arena arena = Arena.ofConfined()) {
            StoredQuantized stored = stored4bit.read(name, arena);
            checkShape(name, stored.shape(), shape);
            return TensorBytes.toMatrix(stored);
        }
    }

    /** The tensor in the innermost scope, checked. */
    private Tensor read(String name, long... shape) {
        if (!checkpoint.has(name)) {
            throw FormatException.of(
                    "%s has no tensor %s, which config.json calls for; is this the checkpoint the config belongs to?",
                    checkpoint.folder(), name);
        }
        StoredInfo info = checkpoint.info(name);
        checkShape(name, info.shape(), shape);
        try (Arena arena = Arena.ofConfined()) {
            Tensor tensor = TensorBytes.toTensor(checkpoint.read(name, arena));
            if (!tensor.dtype().isFloat()) {
                throw FormatException.of(
                        "%s: tensor %s has dtype %s; weights are F32, F16 or BF16",
                        checkpoint.folder(), name, tensor.dtype());
            }
            if (!tensor.allFinite()) {
                throw FormatException.of(
                        "%s: tensor %s holds a value that is NaN or infinite; fetch the checkpoint again",
                        checkpoint.folder(), name);
            }
            return tensor;
        }
    }

    private void checkShape(String name, long[] actual, long[] expected) {
        if (!Arrays.equals(actual, expected)) {
            throw FormatException.of(
                    "%s: tensor %s has shape %s, config.json calls for %s",
                    checkpoint.folder(), name, Arrays.toString(actual), Arrays.toString(expected));
        }
    }

    /** Kind of weights, for messages: null where the checkpoint holds none in 4 bits. */
    @Nullable String stored4bitType() {
        return stored4bit.weights().isEmpty() ? null : "bitsandbytes";
    }
}
