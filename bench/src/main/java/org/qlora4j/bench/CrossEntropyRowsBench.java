package org.qlora4j.bench;

import java.util.Random;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.qlora4j.kernel.CrossEntropyRows;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link CrossEntropyRows}: loss of rows of logits, with and without their gradient. Elements are
 * logits; bytes are those of the logits. The reference multiplies the whole head again, in f32.
 */
public class CrossEntropyRowsBench extends TwinBench {
    /** Spread of the logits, about that of a model's. */
    private static final double STD = 3;

    @Param("32")
    public int rows = 32;

    private CrossEntropyRows kernel;
    private Tensor x;
    private Tensor weight;
    private long[] labels;
    private Tensor logits;
    private Tensor changed;

    @Override
    void prepare() {
        kernel = timed.crossEntropy();
        int hidden = shape.hidden();
        x = normal(1, 1, rows, hidden);
        weight = normal(2, STD / Math.sqrt(hidden), shape.vocabulary(), hidden);
        labels = new Random(3).longs(rows, 0, shape.vocabulary()).toArray();
        logits = x.linear(weight, null);
        changed = logits.copy();
        Tensor expected = logits.copy();
        double loss = reference.crossEntropy().lossAndGradient(x, weight, expected, labels, true);
        double allowed = (dtype == DType.BF16 ? 2e-3 : 1e-5) * Math.max(1, Math.abs(loss));
        for (boolean gradient : new boolean[] {false, true}) {
            changed.copyFrom(logits);
            double actual = kernel.lossAndGradient(x, weight, changed, labels, gradient);
            if (!(Math.abs(actual - loss) <= allowed)) {
                throw new IllegalStateException(
                        "loss is %s, expected %s within %s".formatted(actual, loss, allowed));
            }
        }
        Answer.requireClose("gradient", changed, expected, tolerance());
    }

    /** The gradient overwrites the logits. JMH leaves this out of the time. */
    @Setup(Level.Invocation)
    public void restore() {
        changed.copyFrom(logits);
    }

    @Benchmark
    public double loss(Work work) {
        work.add(logits.count(), bytes(logits));
        return kernel.lossAndGradient(x, weight, changed, labels, false);
    }

    @Benchmark
    public double lossAndGradient(Work work) {
        work.add(logits.count(), 2 * bytes(logits));
        return kernel.lossAndGradient(x, weight, changed, labels, true);
    }
}
