package org.qlora4j.model;

import org.qlora4j.autograd.Parameter;
import org.qlora4j.lora.LinearLayer;

/**
 * Weights that a {@link WeightLoader} takes from its source.
 *
 * @param prefix with its dot, or empty
 */
record LoadedWeights(String prefix, WeightLoader loader) implements Weights {
    @Override
    public Weights in(String part) {
        return new LoadedWeights(prefix + part + ".", loader);
    }

    @Override
    public boolean has(String name) {
        return loader.has(prefix + name);
    }

    @Override
    public Parameter parameter(String name, long... shape) {
        return loader.parameter(prefix + name, shape);
    }

    @Override
    public LinearLayer linear(String name, int out, int in, boolean bias) {
        return loader.linear(prefix + name, out, in, bias, false);
    }

    @Override
    public LinearLayer conv1d(String name, int out, int in) {
        return loader.linear(prefix + name, out, in, true, true);
    }

    @Override
    public LinearLayer unquantized(String name, int out, int in) {
        return loader.unquantized(prefix + name, out, in);
    }

    @Override
    public <T extends AutoCloseable> T keep(T part) {
        return loader.keep(part);
    }
}
