package org.qlora4j.autograd;

import java.util.function.Supplier;
import org.qlora4j.quant.BlockMatrix;
import org.qlora4j.quant.FrozenMatrix;
import org.qlora4j.quant.Int8Matrix;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/** The weight [out, in] of a linear layer, however it is stored. */
public sealed interface Weight extends AutoCloseable permits Weight.Dense, Weight.Frozen {
    /** Output features. */
    long out();

    /** Input features. */
    long in();

    /**
     * The weight [out, in] in the compute dtype, for use at once: it may lie in a buffer that the
     * next quantized weight overwrites. Not to be closed or changed.
     */
    Tensor dense(DType compute);

    /**
     * What it multiplies in place of x: x itself, or x in the bits of the weight.
     *
     * @param x [rows, in] in the compute dtype
     */
    default Tensor input(Tensor x) {
        return x;
    }

    /** Bytes it holds. */
    long byteSize();

    @Override
    void close();

    /** A weight in 16 or 32 bits, which may learn. */
    record Dense(Parameter parameter) implements Weight {
        @Override
        public long out() {
            return parameter.shape()[0];
        }

        @Override
        public long in() {
            return parameter.shape()[1];
        }

        @Override
        public Tensor dense(DType compute) {
            return parameter.value();
        }

        @Override
        public long byteSize() {
            return parameter.value().byteSize();
        }

        @Override
        public void close() {
            parameter.close();
        }
    }

    /** A frozen weight in few bits, decoded into a buffer that the whole model shares. */
    sealed interface Frozen extends Weight permits Quantized, Int8, Blocks, Streamed {
        /** The weight as it is held. */
        FrozenMatrix matrix();

        /** Where it is decoded. */
        DequantizationBuffer buffer();

        @Override
        default long out() {
            return matrix().shape()[0];
        }

        @Override
        default long in() {
            return matrix().shape()[1];
        }

        @Override
        default Tensor dense(DType compute) {
            return buffer().fill(matrix(), compute);
        }

        @Override
        default long byteSize() {
            return matrix().byteSize();
        }

        @Override
        default void close() {
            matrix().close();
        }
    }

    /** A weight in 4 bits. */
    record Quantized(QuantizedMatrix matrix, DequantizationBuffer buffer) implements Frozen {}

    /** A weight in the blocks of a GGUF file. */
    record Blocks(BlockMatrix matrix, DequantizationBuffer buffer) implements Frozen {}

    /**
     * A weight that is read from disk when it is used, together with those of its layer.
     *
     * @param place gives the matrix, which is valid until a weight of another layer is asked for
     * @param out output features
     * @param in input features
     */
    record Streamed(Supplier<FrozenMatrix> place, long out, long in, DequantizationBuffer buffer)
            implements Frozen {
        @Override
        public FrozenMatrix matrix() {
            return place.get();
        }

        /** Nothing: its layers' owner holds it. */
        @Override
        public long byteSize() {
            return 0;
        }

        @Override
        public void close() {}
    }

    /** A weight in 8 bits by rows, LLM.int8(). */
    record Int8(Int8Matrix matrix, DequantizationBuffer buffer) implements Frozen {
        @Override
        public Tensor input(Tensor x) {
            return matrix.round(x.contiguous());
        }
    }
}
