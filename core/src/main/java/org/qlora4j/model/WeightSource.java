package org.qlora4j.model;

import org.jspecify.annotations.Nullable;
import org.qlora4j.kernel.BlockType;
import org.qlora4j.quant.BlockMatrix;
import org.qlora4j.quant.FrozenMatrix;
import org.qlora4j.quant.Int8Matrix;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** Where a model's weights come from, one at a time. */
interface WeightSource {
    /** Where the weights come from, for messages. */
    String origin();

    /** Whether there is a weight of this name. */
    boolean has(String name);

    /** The weight, of this shape, in the innermost scope. Its values may be anything. */
    Tensor read(String name, long... shape);

    /**
     * The weight in a type of choice, in the innermost scope; null if a value of it is NaN or
     * infinite.
     */
    default @Nullable Tensor readFinite(String name, DType to, long... shape) {
        Tensor value = read(name, shape);
        return value.allFinite() ? value.to(to) : null;
    }

    /** Says that a weight is held by another process, so that nobody wonders who uses it. */
    default void skip(String name) {}

    /** Whether any weight is stored in few bits; those that are not are then meant to stay so. */
    boolean anyQuantized();

    /** Whether the weight is stored in few bits. */
    boolean isQuantized(String name);

    /** The weight if it is stored in few bits, else null. The caller owns it. */
    @Nullable FrozenMatrix readQuantized(String name, long... shape);

    /**
     * Weights of which only the sizes matter, for a computation {@linkplain
     * org.qlora4j.tensor.MetaDevice without memory}.
     *
     * @param quantization how linears are held
     */
    record Sizes(QuantConfig quantization) implements WeightSource {
        @Override
        public String origin() {
            return "sizes";
        }

        @Override
        public boolean anyQuantized() {
            return quantization.keepStored();
        }

        @Override
        public boolean has(String name) {
            return true;
        }

        @Override
        public Tensor read(String name, long... shape) {
            return Tensors.empty(DType.F32, shape);
        }

        @Override
        public boolean isQuantized(String name) {
            return false;
        }

        @Override
        public @Nullable FrozenMatrix readQuantized(String name, long... shape) {
            if (quantization.load8bit()) {
                return Int8Matrix.empty(shape, quantization.int8Threshold());
            }
            if (quantization.keepStored() && shape[1] % BlockType.Q8_0.elements() == 0) {
                try (TensorScope scope = TensorScope.open()) {
                    return BlockMatrix.empty(BlockType.Q8_0, shape);
                }
            }
            if (!quantization.load4bit()) {
                return null;
            }
            try (TensorScope scope = TensorScope.open()) {
                return QuantizedMatrix.empty(shape, quantization);
            }
        }
    }

    /**
     * Start values of a model that was never trained: norms' weights as their family has them,
     * biases 0, everything else normal with mean 0 (transformers' {@code initializer_range}). Each
     * weight is a function of seed and name.
     *
     * @param std of the normal values
     * @param normStart of the norms, 1 in most families
     */
    record Random(long seed, double std, double normStart) implements WeightSource {
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
            if (shape.length == 1) {
                double start = name.endsWith(".bias") ? 0 : normStart;
                return Tensors.full(start, DType.F32, shape);
            }
            return Tensors.normal(seed * 31 + name.hashCode(), std, shape);
        }

        @Override
        public boolean anyQuantized() {
            return false;
        }

        @Override
        public boolean isQuantized(String name) {
            return false;
        }

        @Override
        public @Nullable FrozenMatrix readQuantized(String name, long... shape) {
            return null;
        }
    }
}
