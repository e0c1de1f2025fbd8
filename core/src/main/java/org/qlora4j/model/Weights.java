package org.qlora4j.model;

import org.qlora4j.autograd.Parameter;
import org.qlora4j.lora.LinearLayer;

/**
 * The named weights of a model under a prefix, which a family asks for one by one: loaded from a
 * checkpoint, drawn anew, or only listed ({@link ModelShape}). What is asked for belongs to the
 * model, in the order of asking.
 */
public interface Weights {
    /** The weights under a further part of the name, e.g. {@code layers.0}. */
    Weights in(String part);

    /**
     * Whether there is a tensor of this name; what is drawn or listed has all that its config calls
     * for.
     */
    boolean has(String name);

    /**
     * A weight that is never quantized: a norm's, a table.
     *
     * @param name with its ending, e.g. {@code norm.weight}
     */
    Parameter parameter(String name, long... shape);

    /**
     * A linear layer, which may be held in 4 bits and may get an adapter.
     *
     * @param name without an ending, e.g. {@code q_proj}
     */
    LinearLayer linear(String name, int out, int in, boolean bias);

    /**
     * As {@link #linear}, of a layer whose weight the checkpoint has as [in, out]: transformers'
     * Conv1D. The model holds it as any other.
     */
    LinearLayer conv1d(String name, int out, int in);

    /**
     * As {@link #linear} without a bias, of a layer that is never held in 4 bits: T5's {@code wo},
     * which transformers keeps from quantization too.
     */
    LinearLayer unquantized(String name, int out, int in);

    /** Has the model close something at its end, such as {@link RotaryTables}. */
    <T extends AutoCloseable> T keep(T part);
}
