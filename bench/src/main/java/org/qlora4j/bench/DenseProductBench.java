package org.qlora4j.bench;

import java.util.List;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.DenseProduct;
import org.qlora4j.tensor.Tensor;

/**
 * {@link DenseProduct}: rows times the factor A of LoRA on the MLP's gate, times a whole weight,
 * and their updates by one adapter, as generation computes them. Elements are weights, each once
 * whatever the rows, but for the updates.
 */
public class DenseProductBench extends TwinBench {
    @Param("16")
    public int rank = 16;

    @Param("1")
    public int rows = 1;

    private DenseProduct kernel;
    private Tensor x;
    private Tensor weight;
    private Tensor y;
    private Tensor factorA;
    private Tensor ax;
    private Tensor factorB;
    private List<DenseProduct.Update> updates;

    @Override
    void prepare() {
        kernel = timed.denseProduct();
        DenseProduct judge = reference.denseProduct();
        int[] features = shape.linear("gate_proj");
        int out = features[0];
        int in = features[1];
        x = normal(1, 1, rows, in);
        weight = normal(2, 0.02, out, in);
        y = unwritten(rows, out);
        factorA = normal(3, 0.02, rank, in);
        ax = unwritten(rows, rank);
        factorB = normal(4, 0.02, out, rank);

        Tensor expected = unwritten(rows, out);
        kernel.multiply(x, weight, y);
        judge.multiply(x, weight, expected);
        Answer.requireClose("product", y, expected, tolerance());
        Tensor expectedAx = unwritten(rows, rank);
        kernel.multiply(x, factorA, ax);
        judge.multiply(x, factorA, expectedAx);
        Answer.requireClose("A(x)", ax, expectedAx, tolerance());
        y.copyFrom(expected);
        updates = List.of(new DenseProduct.Update(0, rows, factorA, factorB, 0.25));
        kernel.addUpdates(x, updates, y);
        judge.addUpdates(x, updates, expected);
        Answer.requireClose("updates", y, expected, 3 * tolerance());
    }

    @Benchmark
    public void updatesOfRows(Work work) {
        kernel.addUpdates(x, updates, y);
        work.add(rows * (factorA.count() + factorB.count()), bytes(factorA, factorB, x, y, y));
    }

    @Benchmark
    public void weight(Work work) {
        kernel.multiply(x, weight, y);
        work.add(weight.count(), bytes(x, weight, y));
    }

    @Benchmark
    public void factorA(Work work) {
        kernel.multiply(x, factorA, ax);
        work.add(factorA.count(), bytes(x, factorA, ax));
    }
}
