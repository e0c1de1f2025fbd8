package org.qlora4j.model;

import java.lang.foreign.Arena;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.StoredQuantized;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.FormatException;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/** Where a model's weights come from, one at a time. */
interface WeightSource {
    /** Where the weights come from, for messages. */
    String origin();

    /** Whether there is a weight of this name. */
    boolean has(String name);

    /** The weight, of this shape, in the innermost scope. Its values may be anything. */
    Tensor read(String name, long... shape);

    /** Whether the weight is stored in 4 bits. */
    boolean isQuantized(String name);

    /** The weight if it is stored in 4 bits, else null. The caller owns it. */
    @Nullable QuantizedMatrix readQuantized(String name, long... shape);

    /** The tensors of a checkpoint. */
    record Stored(Checkpoint checkpoint, Bnb4bit in4bits) implements WeightSource {
        Stored(Checkpoint checkpoint) {
            this(checkpoint, Bnb4bit.of(checkpoint));
        }

        @Override
        public String origin() {
            return checkpoint.folder().toString();
        }

        @Override
        public boolean has(String name) {
            return checkpoint.has(name);
        }

        @Override
        public Tensor read(String name, long... shape) {
            if (!checkpoint.has(name)) {
                throw FormatException.of(
                        "%s has no tensor %s, which config.json calls for; is this the checkpoint the config belongs to?",
                        checkpoint.folder(), name);
            }
            checkShape(name, checkpoint.info(name).shape(), shape);
            try (Arena arena = Arena.ofConfined()) {
                Tensor tensor = TensorBytes.toTensor(checkpoint.read(name, arena));
                if (!tensor.dtype().isFloat()) {
                    throw FormatException.of(
                            "%s: tensor %s has dtype %s; weights are F32, F16 or BF16",
                            checkpoint.folder(), name, tensor.dtype());
                }
                return tensor;
            }
        }

        @Override
        public boolean isQuantized(String name) {
            return in4bits.has(name);
        }

        @Override
        public @Nullable QuantizedMatrix readQuantized(String name, long... shape) {
            if (!in4bits.has(name)) {
                return null;
            }
            try (Arena arena = Arena.ofConfined()) {
                StoredQuantized stored = in4bits.read(name, arena);
                checkShape(name, stored.shape(), shape);
                return TensorBytes.toMatrix(stored);
            }
        }

        private void checkShape(String name, long[] actual, long[] expected) {
            if (!Arrays.equals(actual, expected)) {
                throw FormatException.of(
                        "%s: tensor %s has shape %s, config.json calls for %s",
                        checkpoint.folder(),
                        name,
                        Arrays.toString(actual),
                        Arrays.toString(expected));
            }
        }
    }

    /**
     * Start values of a model that was never trained: norms 1, biases 0, everything else normal
     * with mean 0 (transformers' {@code initializer_range}). Each weight is a function of seed and
     * name.
     *
     * @param std of the normal values
     */
    record Random(long seed, double std) implements WeightSource {
        @Override
        public String origin() {
            return "random weights";
        }

        @Override
        public boolean has(String name) {
            return true;
        }

        @Override
        public Tensor read(String name, long... shape) {
            if (name.contains("norm")) {
                return Tensors.full(1, DType.F32, shape);
            }
            return name.endsWith(".bias")
                    ? Tensors.zeros(DType.F32, shape)
                    : Tensors.normal(seed * 31 + name.hashCode(), std, shape);
        }

        @Override
        public boolean isQuantized(String name) {
            return false;
        }

        @Override
        public @Nullable QuantizedMatrix readQuantized(String name, long... shape) {
            return null;
        }
    }
}
