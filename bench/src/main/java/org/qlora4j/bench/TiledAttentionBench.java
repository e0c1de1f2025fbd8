package org.qlora4j.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.BlockMask;
import org.qlora4j.kernel.TiledAttention;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * {@link TiledAttention}: one layer's causal attention over one sequence, forward and backward, in
 * F32 whatever the compute dtype. Elements are the scores that a query sees; bytes are those of the
 * arguments and results.
 */
public class TiledAttentionBench extends TwinBench {
    private static final double SCALE = 0.125;

    /** What the tests of this kernel allow, relative to the largest value. */
    private static final double TOLERANCE = 1e-5;

    @Param("512")
    public int positions = 512;

    @Param({"0", "50"})
    public double softcap;

    private TiledAttention kernel;
    private BlockMask mask;
    private TiledAttention.Forward pass;
    private Tensor dOut;
    private Tensor dq;
    private Tensor dk;
    private Tensor dv;

    @Override
    void prepare() {
        kernel = timed.tiledAttention();
        mask = causal();
        Tensor q = values(1, shape.heads());
        Tensor k = values(2, shape.kvHeads());
        Tensor v = values(3, shape.kvHeads());
        pass = forwardOf(kernel, q, k, v);
        TiledAttention.Forward expected = forwardOf(reference.tiledAttention(), q, k, v);
        Answer.requireClose("attention", pass.out(), expected.out(), TOLERANCE);
        Answer.requireClose("logSums", pass.logSums(), expected.logSums(), TOLERANCE);

        dOut = values(4, shape.heads());
        dq = unwrittenF32(q);
        dk = unwrittenF32(k);
        dv = unwrittenF32(v);
        kernel.backward(pass, dOut, dq, dk, dv);
        Tensor expectedDq = unwrittenF32(q);
        Tensor expectedDk = unwrittenF32(k);
        Tensor expectedDv = unwrittenF32(v);
        reference.tiledAttention().backward(expected, dOut, expectedDq, expectedDk, expectedDv);
        Answer.requireClose("dq", dq, expectedDq, TOLERANCE);
        Answer.requireClose("dk", dk, expectedDk, TOLERANCE);
        Answer.requireClose("dv", dv, expectedDv, TOLERANCE);
    }

    private BlockMask causal() {
        int[] end = new int[positions];
        for (int row = 0; row < positions; row++) {
            end[row] = row + 1;
        }
        return new BlockMask(1, positions, positions, new int[positions], end, null);
    }

    private Tensor values(long seed, int heads) {
        return Tensors.normal(seed, 1, 1, positions, heads, ModelShape.HEAD_DIM);
    }

    private static Tensor unwrittenF32(Tensor like) {
        return Tensors.full(Double.NaN, DType.F32, like.shape());
    }

    private TiledAttention.Forward forwardOf(TiledAttention by, Tensor q, Tensor k, Tensor v) {
        Tensor out = unwrittenF32(q);
        Tensor logSums = Tensors.full(Double.NaN, DType.F32, 1, shape.heads(), positions);
        by.forward(q, k, v, SCALE, softcap, mask, out, logSums);
        return new TiledAttention.Forward(q, k, v, SCALE, softcap, mask, out, logSums);
    }

    private long seen() {
        return (long) shape.heads() * positions * (positions + 1) / 2;
    }

    @Override
    void free() {
        mask.close();
    }

    @Benchmark
    public void forward(Work work) {
        kernel.forward(
                pass.q(), pass.k(), pass.v(), SCALE, softcap, mask, pass.out(), pass.logSums());
        work.add(seen(), bytes(pass.q(), pass.k(), pass.v(), pass.out()));
    }

    @Benchmark
    public void backward(Work work) {
        kernel.backward(pass, dOut, dq, dk, dv);
        work.add(seen(), 2 * bytes(pass.q(), pass.k(), pass.v(), pass.out()));
    }
}
