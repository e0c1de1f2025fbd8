package org.qlora4j.autograd;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.testing.Samples;

/**
 * An operation on random values, twice: ours on a tape, and the same composed of plain libtorch
 * calls.
 *
 * @param name what is special about the shapes
 * @param seed of the values, which are normal
 * @param inputs values that want a gradient
 * @param parameters weights that learn
 */
record OperationCase(
        String name,
        long seed,
        List<Shape> inputs,
        List<Shape> parameters,
        Ours ours,
        Judge judge) {

    /** Sizes, and the standard deviation of the values. */
    record Shape(double deviation, long... sizes) {}

    /** The operation on a tape. */
    interface Ours {
        Var apply(Run run);
    }

    /** The operation in plain libtorch calls, in F64, which its autograd differentiates. */
    interface Judge {
        org.bytedeco.pytorch.Tensor apply(
                org.bytedeco.pytorch.Tensor[] inputs, org.bytedeco.pytorch.Tensor[] parameters);
    }

    static Shape shape(long... sizes) {
        return new Shape(1, sizes);
    }

    /** A weight [out, in] that keeps the size of its input. */
    static Shape weight(long out, long in) {
        return new Shape(1 / Math.sqrt(in), out, in);
    }

    /** Inputs, then parameters. */
    List<Shape> variables() {
        List<Shape> all = new ArrayList<>(inputs);
        all.addAll(parameters);
        return all;
    }

    @Override
    public String toString() {
        return name + ", seed " + seed;
    }

    /** A run for a backward pass. */
    Run run(DType dtype) {
        return new Run(this, Tape.recording(7), dtype, 0);
    }

    /** A forward pass only, with every value moved along its direction. */
    Run run(DType dtype, double distance) {
        return new Run(this, Tape.inference(), dtype, distance);
    }

    /** The direction in which variable i moves, F64. */
    Tensor direction(int i) {
        Shape shape = variables().get(i);
        return Samples.normal(DType.F64, seed * 100 + 50 + i, shape.sizes).times(shape.deviation);
    }

    private Tensor values(int i, DType dtype, double distance) {
        Shape shape = variables().get(i);
        Tensor x = Samples.normal(DType.F64, seed * 100 + i, shape.sizes).times(shape.deviation);
        return (distance == 0 ? x : x.addInPlace(direction(i), distance)).to(dtype);
    }

    /** One run of ours; it owns inputs and parameters, and what the operation gives it to own. */
    static final class Run implements AutoCloseable {
        final Tape tape;
        final DType dtype;
        final List<Var> inputs = new ArrayList<>();
        final List<Parameter> parameters = new ArrayList<>();
        private final Deque<AutoCloseable> owned = new ArrayDeque<>();

        private Run(OperationCase of, Tape tape, DType dtype, double distance) {
            this.tape = own(tape);
            this.dtype = dtype;
            try (TensorScope scope = TensorScope.open()) {
                int i = 0;
                for (; i < of.inputs.size(); i++) {
                    Tensor x = of.values(i, dtype, distance);
                    inputs.add(tape.leaf(own(TensorScope.release(x))));
                }
                for (; i < of.variables().size(); i++) {
                    Tensor x = of.values(i, dtype.wide(), distance);
                    parameters.add(own(Parameter.trainable("parameter " + i, x, dtype)));
                }
            }
        }

        /** Input i. */
        Var x(int i) {
            return inputs.get(i);
        }

        /** Parameter i. */
        Parameter p(int i) {
            return parameters.get(i);
        }

        /** Closed at the end of the run, the last one first. */
        <T extends @Nullable AutoCloseable> T own(T resource) {
            if (resource != null) {
                owned.push(resource);
            }
            return resource;
        }

        /** A copy of floats in the dtype of statistics, closed at the end of the run. */
        Tensor table(float[] values, long... shape) {
            try (TensorScope scope = TensorScope.open()) {
                return own(TensorScope.release(Tensors.of(values, shape).to(dtype.wide())));
            }
        }

        @Override
        public void close() {
            try {
                while (!owned.isEmpty()) {
                    owned.pop().close();
                }
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        }
    }
}
