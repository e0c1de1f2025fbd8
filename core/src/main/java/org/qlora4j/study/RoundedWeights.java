package org.qlora4j.study;

import java.util.LinkedHashMap;
import java.util.Map;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Weight;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.TrialType;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * A model whose linear weights are rounded to a data type in their place.
 *
 * @param layers relative error of each: the norm of what rounding changed by that of the weight
 * @param bits that a weight takes on average
 */
record RoundedWeights(Map<String, Double> layers, double bits) {
    /**
     * Rounds all linears but the head; those that are in 4 bits are decoded first. On the engine
     * thread.
     */
    static RoundedWeights round(
            CausalModel model, TrialType type, int blockSize, boolean doubleQuant) {
        Map<String, Double> layers = new LinkedHashMap<>();
        double bits = 0;
        double count = 0;
        for (LinearLayer linear : model.linears()) {
            Weight weight = linear.weight();
            layers.put(linear.path(), round(linear, type, blockSize, doubleQuant));
            double own = (double) weight.out() * weight.in();
            bits += own * type.bits(blockSize, doubleQuant, weight.in());
            count += own;
        }
        return new RoundedWeights(layers, bits / count);
    }

    /** Bits of a linear weight as the model holds it. */
    static double bitsAsHeld(CausalModel model) {
        double bytes = 0;
        double count = 0;
        for (LinearLayer linear : model.linears()) {
            bytes += linear.weight().byteSize();
            count += (double) linear.weight().out() * linear.weight().in();
        }
        return 8 * bytes / count;
    }

    /** Decodes linears that are in 4 bits, to F32. On the engine thread. */
    static void decode(CausalModel model) {
        for (LinearLayer linear : model.linears()) {
            if (linear.weight() instanceof Weight.Quantized(var matrix, var buffer)) {
                try (TensorScope scope = TensorScope.open()) {
                    replace(linear, matrix.dequantize(DType.F32));
                }
            }
        }
    }

    private static void replace(LinearLayer linear, Tensor weight) {
        linear.replaceWeight(new Weight.Dense(Parameter.frozen(linear.path() + ".weight", weight)));
    }

    private static double round(
            LinearLayer linear, TrialType type, int blockSize, boolean doubleQuant) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor before = linear.weight().dense(DType.F32).to(DType.F32).contiguous();
            Tensor after = type.roundTrip(before, blockSize, doubleQuant);
            double change = Math.sqrt(after.minus(before).square().sum().item());
            double norm = Math.sqrt(before.square().sum().item());
            if (linear.weight() instanceof Weight.Dense(Parameter parameter)) {
                parameter.value().copyFrom(after);
            } else {
                replace(linear, after);
            }
            return norm == 0 ? 0 : change / norm;
        }
    }

    /** The mean over all linears. */
    double error() {
        return layers.values().stream().mapToDouble(Double::doubleValue).average().orElse(0);
    }
}
