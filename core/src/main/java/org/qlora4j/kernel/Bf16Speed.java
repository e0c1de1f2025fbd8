package org.qlora4j.kernel;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether libtorch multiplies in bf16 faster than in f32, measured once a process: for systems that
 * do not say what their CPU has (macOS, Windows, ARM). It takes some hundredths of a second.
 */
final class Bf16Speed {
    private static final Logger LOG = LoggerFactory.getLogger(Bf16Speed.class);

    /** Times as fast as f32; a machine made for bf16 reaches two to four. */
    private static final double WORTH = 1.5;

    private static final int ROWS = 128;
    private static final int SIZE = 512;
    private static final int TIMES = 3;

    private static final class Holder {
        static final boolean PAYS_OFF = measure();
    }

    private Bf16Speed() {}

    static boolean paysOff() {
        return Holder.PAYS_OFF;
    }

    /** Whether such times speak for bf16; products in f32 are more exact, so a draw is theirs. */
    static boolean paysOff(double f32Seconds, double bf16Seconds) {
        return f32Seconds >= WORTH * bf16Seconds;
    }

    private static boolean measure() {
        double f32 = seconds(DType.F32);
        double bf16 = seconds(DType.BF16);
        LOG.info("product of 128 x 512 x 512: f32 {} s, bf16 {} s", f32, bf16);
        return paysOff(f32, bf16);
    }

    /** The fastest product, after one that warms. */
    static double seconds(DType dtype) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor x = Tensors.normal(1, 1, ROWS, SIZE).to(dtype);
            Tensor w = Tensors.normal(2, 1, SIZE, SIZE).to(dtype);
            x.linear(w, null);
            double best = Double.MAX_VALUE;
            for (int i = 0; i < TIMES; i++) {
                long start = System.nanoTime();
                x.linear(w, null);
                best = Math.min(best, (System.nanoTime() - start) / 1e9);
            }
            return best;
        }
    }
}
