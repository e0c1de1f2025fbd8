package org.qlora4j.plan;

import java.util.LinkedHashMap;
import java.util.Map;
import org.qlora4j.kernel.BlockScales;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.ModelShape.LinearShape;
import org.qlora4j.quant.QuantConfig;

/**
 * Bytes that frozen linears take.
 *
 * @param weights codes, or the weights themselves where they are not in few bits
 * @param scales of blocks or rows
 */
record LinearBytes(long weights, long scales) {
    private static final LinearBytes NONE = new LinearBytes(0, 0);
    private static final int F32 = Float.BYTES;

    /** How linears are held: those in few bits, others in so many bytes a weight. */
    record Form(QuantConfig quantization, Map<String, Long> kept, int width) {
        private boolean inFewBits(LinearShape linear) {
            boolean quantized = quantization.load4bit() || quantization.load8bit();
            return quantized && linear.quantizable() || kept.containsKey(linear.path());
        }

        private LinearBytes of(LinearShape linear) {
            long n = linear.out() * linear.in();
            if (quantization.load4bit() && linear.quantizable()) {
                return new LinearBytes((n + 1) / 2, scales(n, quantization));
            }
            if (quantization.load8bit() && linear.quantizable()) {
                return new LinearBytes(n, F32 * linear.out());
            }
            return new LinearBytes(kept.getOrDefault(linear.path(), n * width), 0);
        }
    }

    /** Linears that are all in memory. */
    static LinearBytes held(ModelShape model, Form form) {
        return model.linears().stream().map(form::of).reduce(NONE, LinearBytes::plus);
    }

    /** Linears of which those in few bits are read from disk layer by layer, two at a time. */
    static LinearBytes streamed(ModelShape model, Form form) {
        LinearBytes stay = NONE;
        Map<String, LinearBytes> layers = new LinkedHashMap<>();
        for (LinearShape linear : model.linears()) {
            String layer = ModelShape.layer(linear.path() + ".weight");
            if (layer != null && form.inFewBits(linear)) {
                layers.merge(layer, form.of(linear), LinearBytes::plus);
            } else {
                stay = stay.plus(form.of(linear));
            }
        }
        LinearBytes most = layers.size() == 1 ? layers.values().iterator().next() : NONE;
        LinearBytes last = null;
        for (LinearBytes layer : layers.values()) {
            LinearBytes both = last == null ? NONE : last.plus(layer);
            most = both.total() > most.total() ? both : most;
            last = layer;
        }
        return stay.plus(most);
    }

    private static long scales(long n, QuantConfig quantization) {
        long blocks = Math.ceilDiv(n, quantization.blockSize());
        return quantization.doubleQuant()
                ? blocks + Math.ceilDiv(blocks, BlockScales.NESTED_BLOCK) * F32
                : blocks * F32;
    }

    private long total() {
        return weights + scales;
    }

    private LinearBytes plus(LinearBytes other) {
        return new LinearBytes(weights + other.weights, scales + other.scales);
    }
}
