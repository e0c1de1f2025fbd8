package org.qlora4j.model;

import org.qlora4j.autograd.LayerNorm;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.RmsNorm;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;

/** A norm of hidden states, or of each head of a projection. */
public sealed interface Norm {
    /** x [..., size], or [..., n * size] to norm each of the n parts alone; to the shape of x. */
    Var forward(Tape tape, Var x);

    /**
     * By the root of the mean square (arXiv 1910.07467).
     *
     * @param shift added to each weight
     */
    record Rms(Parameter weight, float shift, double eps) implements Norm {
        @Override
        public Var forward(Tape tape, Var x) {
            return RmsNorm.apply(tape, x, weight, shift, eps);
        }
    }

    /** By mean and variance, with a bias (arXiv 1607.06450). */
    record Layer(Parameter weight, Parameter bias, double eps) implements Norm {
        @Override
        public Var forward(Tape tape, Var x) {
            return LayerNorm.apply(tape, x, weight, bias, eps);
        }
    }

    /**
     * The LayerNorm of a module.
     *
     * @param name of the module, e.g. {@code ln_1}
     */
    static Norm layer(Weights weights, String name, int size, double eps) {
        return new Layer(
                weights.parameter(name + ".weight", size),
                weights.parameter(name + ".bias", size),
                eps);
    }

    /**
     * The RMS norm of a module.
     *
     * @param name of the module, e.g. {@code input_layernorm}
     */
    static Norm rms(Weights weights, String name, int size, double eps) {
        return new Rms(weights.parameter(name + ".weight", size), 0, eps);
    }

    /** As {@link #rms}, where the checkpoint has each weight less 1 (Gemma). */
    static Norm rmsAroundZero(Weights weights, String name, int size, double eps) {
        return new Rms(weights.parameter(name + ".weight", size), 1, eps);
    }
}
