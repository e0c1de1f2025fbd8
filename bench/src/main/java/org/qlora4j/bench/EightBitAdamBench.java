package org.qlora4j.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.AdamStep;
import org.qlora4j.kernel.EightBitAdam;
import org.qlora4j.kernel.EightBitMoments;
import org.qlora4j.kernel.EightBitTable;
import org.qlora4j.quant.DynamicMap;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * {@link EightBitAdam}: one step for the LoRA factors of all linears of a decoder layer, weights in
 * f32. Elements are weights.
 */
public class EightBitAdamBench extends TwinBench {
    private static final EightBitTable SIGNED = new EightBitTable(DynamicMap.SIGNED.values());
    private static final EightBitTable UNSIGNED = new EightBitTable(DynamicMap.UNSIGNED.values());

    @Param("16")
    public int rank = 16;

    private EightBitAdam kernel;
    private Tensor weights;
    private Tensor gradients;
    private EightBitMoments moments;

    @Override
    void prepare() {
        kernel = timed.eightBitAdam();
        long q = 2L * shape.hidden();
        long k = shape.hidden() + (long) shape.kvHeads() * ModelShape.HEAD_DIM;
        long mlp = (long) shape.hidden() + shape.intermediate();
        long count = rank * (2 * q + 2 * k + 3 * mlp); // q, o; k, v; gate, up, down
        weights = Tensors.normal(1, 0.02, count);
        moments = noMoments(count);
        Tensor expected = weights.copy();
        EightBitMoments expectedMoments = noMoments(count);
        gradients = Tensors.empty(DType.F32, count);
        for (int t = 1; t <= 3; t++) {
            gradients.copyFrom(Tensors.normal(10 + t, 1e-3, count));
            kernel.step(weights, gradients, moments, step(t));
            reference.eightBitAdam().step(expected, gradients, expectedMoments, step(t));
        }
        Answer.requireSame("weights", weights, expected);
        Answer.requireSame("codes1", moments.codes1(), expectedMoments.codes1());
        Answer.requireSame("absmax1", moments.absmax1(), expectedMoments.absmax1());
        Answer.requireSame("codes2", moments.codes2(), expectedMoments.codes2());
        Answer.requireSame("absmax2", moments.absmax2(), expectedMoments.absmax2());
    }

    private static EightBitMoments noMoments(long n) {
        long blocks = EightBitMoments.blocks(n);
        return new EightBitMoments(
                Tensors.zeros(DType.U8, n),
                Tensors.zeros(DType.F32, blocks),
                SIGNED,
                Tensors.zeros(DType.U8, n),
                Tensors.zeros(DType.F32, blocks),
                UNSIGNED);
    }

    /** A step with AdamW's usual factors, at learning rate 2e-4 without decay. */
    private static AdamStep step(int t) {
        return new AdamStep(
                0.9,
                0.999,
                1,
                -2e-4 / (1 - Math.pow(0.9, t)),
                1 / Math.sqrt(1 - Math.pow(0.999, t)),
                1e-8);
    }

    @Benchmark
    public void step(Work work) {
        kernel.step(weights, gradients, moments, step(1000)); // a long run, its gradients alike
        long state =
                bytes(moments.codes1(), moments.absmax1(), moments.codes2(), moments.absmax2());
        work.add(weights.count(), 2 * (bytes(weights) + state) + bytes(gradients));
    }
}
