package org.qlora4j.bench;

import java.util.Random;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.qlora4j.kernel.BlockType;
import org.qlora4j.kernel.BlockWeights;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * {@link BlockWeights}: few rows times a weight in the blocks of a GGUF file, and the weight
 * decoded. Elements are weights, each once whatever the rows.
 */
public class BlockWeightsBench extends TwinBench {
    @Param("1")
    public int rows = 1;

    @Param({"Q8_0", "Q4_K"})
    public BlockType type = BlockType.Q8_0;

    private BlockWeights kernel;
    private Tensor x;
    private Tensor blocks;
    private Tensor y;
    private Tensor weight;

    @Override
    void prepare() {
        kernel = timed.blockWeights();
        int out = shape.intermediate();
        int in = shape.hidden() / type.elements() * type.elements();
        x = normal(1, 1, rows, in);
        byte[] bytes = new byte[Math.toIntExact(type.bytes((long) out * in))];
        Random random = new Random(2);
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) random.nextInt(64); // every fp16 number is finite then
        }
        blocks = Tensors.of(bytes, out, type.bytes(in));
        y = unwritten(rows, out);
        Tensor expected = unwritten(rows, out);
        kernel.multiply(x, blocks, type, y);
        reference.blockWeights().multiply(x, blocks, type, expected);
        Answer.requireClose("product", y, expected, x.dtype() == DType.F32 ? 4e-6 : tolerance());
        weight = unwritten(out, in);
        Tensor decoded = unwritten(out, in);
        kernel.decode(blocks, type, weight);
        reference.blockWeights().decode(blocks, type, decoded);
        Answer.requireClose("weight", weight, decoded, 0);
    }

    @Benchmark
    public void multiply(Work work) {
        kernel.multiply(x, blocks, type, y);
        work.add(weight.count(), bytes(x, blocks, y));
    }

    @Benchmark
    public void decode(Work work) {
        kernel.decode(blocks, type, weight);
        work.add(weight.count(), bytes(blocks, weight));
    }
}
