package org.qlora4j.bench;

import java.util.Locale;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Times what is done with 4-bit weights at the shapes of two models: decoding to bf16, and the
 * product with one row beside libtorch's product with the decoded weight. Run it by {@code
 * bench/kernels.sh}.
 */
public final class FourBitBench {
    private static final int[][] SHAPES = {
        {576, 576}, {1536, 576}, {576, 1536}, {2048, 2048}, {5632, 2048}
    };
    private static final double SECONDS = 0.3;

    private FourBitBench() {}

    public static void main(String[] args) {
        Engine.run(() -> {
            System.out.printf(
                    "kernels: %s (%s)%n", Kernels.current().name(), Kernels.current().reason());
            System.out.printf(
                    "%-12s %14s %14s %14s%n",
                    "out x in", "decode Gw/s", "4-bit row Gw/s", "bf16 row Gw/s");
            for (int[] shape : SHAPES) {
                measure(shape[0], shape[1]);
            }
        });
    }

    private static void measure(int out, int in) {
        try (TensorScope scope = TensorScope.open();
                QuantizedMatrix weight =
                        QuantizedMatrix.quantize(
                                Tensors.normal(1, 0.02, out, in), QuantConfig.DEFAULT)) {
            Tensor decoded = weight.dequantize(DType.BF16);
            Tensor x = Tensors.normal(2, 1, 1, in).to(DType.BF16);
            double fused = Double.NaN;
            if (weight.multipliesFewRows(x.dtype(), 1)) {
                Tensor product = Tensors.empty(x.dtype(), 1, out);
                weight.multiplyInto(x, product);
                check(product, x.linear(decoded, null));
                fused = rate(out, in, () -> weight.multiplyInto(x, product));
            }
            System.out.printf(
                    Locale.ROOT,
                    "%-12s %14.1f %14.1f %14.1f%n",
                    out + " x " + in,
                    rate(out, in, () -> weight.dequantizeInto(decoded)),
                    fused,
                    rate(out, in, () -> x.linear(decoded, null)));
        }
    }

    private static void check(Tensor actual, Tensor expected) {
        float[] a = actual.toFloats();
        float[] e = expected.toFloats();
        double largest = 0;
        double worst = 0;
        for (int i = 0; i < e.length; i++) {
            largest = Math.max(largest, Math.abs(e[i]));
            worst = Math.max(worst, Math.abs(a[i] - e[i]));
        }
        if (!(worst <= 0.02 * largest)) { // both round to bf16
            throw new IllegalStateException("wrong product: off by " + worst + " of " + largest);
        }
    }

    /** Billions of weights a second, the median of runs of some milliseconds each. */
    private static double rate(int out, int in, Runnable action) {
        double[] seconds = new double[9];
        for (int run = 0; run < seconds.length; run++) {
            long start = System.nanoTime();
            int calls = 0;
            while (System.nanoTime() - start < SECONDS * 1e9) {
                try (TensorScope scope = TensorScope.open()) {
                    action.run();
                }
                calls++;
            }
            seconds[run] = (System.nanoTime() - start) / 1e9 / calls;
        }
        java.util.Arrays.sort(seconds);
        return (double) out * in / seconds[seconds.length / 2] / 1e9;
    }
}
