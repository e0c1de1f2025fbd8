package org.qlora4j.model;

import java.util.List;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Weight;
import org.qlora4j.lora.LinearLayer;

/**
 * Weights that are asked for by name and size, and are not there.
 *
 * @param prefix with its dot, or empty
 */
record ListedWeights(String prefix, Lists lists) implements Weights {
    /** All that was asked for so far. */
    record Lists(List<ModelShape.LinearShape> linears, List<ModelShape.WeightShape> others) {}

    @Override
    public Weights in(String part) {
        return new ListedWeights(prefix + part + ".", lists);
    }

    @Override
    public boolean has(String name) {
        return true;
    }

    @Override
    public Parameter parameter(String name, long... shape) {
        lists.others.add(ModelShape.weight(prefix + name, shape));
        return Parameter.listed(prefix + name, shape);
    }

    @Override
    public LinearLayer linear(String name, int out, int in, boolean bias) {
        return listed(name, out, in, bias, true, false);
    }

    private LinearLayer listed(
            String name, int out, int in, boolean bias, boolean quantizable, boolean transposed) {
        String path = prefix + name;
        lists.linears.add(new ModelShape.LinearShape(path, out, in, bias, quantizable, transposed));
        return new LinearLayer(
                path,
                new Weight.Dense(Parameter.listed(path + ".weight", out, in)),
                bias ? parameter(name + ".bias", out) : null);
    }

    @Override
    public LinearLayer conv1d(String name, int out, int in) {
        return listed(name, out, in, true, true, true);
    }

    @Override
    public LinearLayer unquantized(String name, int out, int in) {
        return listed(name, out, in, false, false, false);
    }

    @Override
    public <T extends AutoCloseable> T keep(T part) {
        return part;
    }
}
