package org.qlora4j.bench;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.StreamAttention;
import org.qlora4j.tensor.Tensor;

/**
 * {@link StreamAttention}: one layer's attention in a step of generation, each text 512 positions
 * long with the new one. Elements are scores; bytes are mostly the keys and values read.
 */
public class StreamAttentionBench extends TwinBench {
    private static final double SCALE = 0.125;

    @Param({"1", "8"})
    public int texts = 1;

    @Param("512")
    public int positions = 512;

    @Param({"0", "50"})
    public double softcap;

    @Param({"0", "128"})
    public int window;

    private StreamAttention kernel;
    private Tensor q;
    private Tensor k;
    private Tensor v;
    private Tensor keys;
    private Tensor values;
    private Tensor[] keyRows;
    private Tensor[] valueRows;
    private int[] lengths;
    private Tensor out;

    @Override
    void prepare() {
        kernel = timed.streamAttention();
        int block = StreamAttention.BLOCK;
        int blocks = (positions + block - 1) / block;
        int dim = ModelShape.HEAD_DIM;
        int kvHeads = shape.kvHeads();
        q = normal(1, 1, texts, shape.heads(), dim);
        k = normal(2, 1, texts, kvHeads, dim);
        v = normal(3, 1, texts, kvHeads, dim);
        keys = normal(4, 1, texts, kvHeads, blocks, dim, block);
        values = normal(5, 1, texts, kvHeads, (long) blocks * block, dim);
        keyRows = rows(keys);
        valueRows = rows(values);
        lengths = new int[texts];
        Arrays.fill(lengths, positions - 1);
        out = unwritten(q.shape());

        Tensor expected = unwritten(q.shape());
        Tensor expectedKeys = keys.copy();
        Tensor expectedValues = values.copy();
        step(kernel, keyRows, valueRows, out);
        step(reference.streamAttention(), rows(expectedKeys), rows(expectedValues), expected);
        Answer.requireClose("attention", out, expected, 4 * tolerance());
        Answer.requireSame("keys", keys, expectedKeys);
        Answer.requireSame("values", values, expectedValues);
    }

    private Tensor[] rows(Tensor all) {
        return IntStream.range(0, texts).mapToObj(row -> all.select(0, row)).toArray(Tensor[]::new);
    }

    private void step(StreamAttention by, Tensor[] keysOf, Tensor[] valuesOf, Tensor into) {
        by.step(q, k, v, keysOf, valuesOf, lengths, SCALE, softcap, window, into);
    }

    @Benchmark
    public void step(Work work) {
        step(kernel, keyRows, valueRows, out); // the new position is written again and again
        int seen = window == 0 ? positions : Math.min(window, positions);
        long cached = bytes(keys, values) * seen / positions;
        work.add((long) texts * shape.heads() * seen, bytes(q, k, v, out) + cached);
    }
}
