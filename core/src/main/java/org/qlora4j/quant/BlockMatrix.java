package org.qlora4j.quant;

import org.qlora4j.kernel.BlockType;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** A frozen weight in the blocks of a GGUF file, byte for byte as they are stored. */
public final class BlockMatrix implements FrozenMatrix {
    private final BlockType type;
    private final long[] shape;
    private final Tensor blocks;

    /**
     * @param type a {@linkplain BlockType#KEPT kept} one
     * @param shape of the weight, [out, in]; in is a multiple of the block's elements
     * @param blocks U8 [out, bytes of a line]; released from its scope, owned from now on
     */
    public BlockMatrix(BlockType type, long[] shape, Tensor blocks) {
        this.type = type;
        this.shape = shape.clone();
        this.blocks = TensorScope.release(blocks);
    }

    /** Room for a weight [out, in], with undefined content. */
    public static BlockMatrix empty(BlockType type, long[] shape) {
        return new BlockMatrix(
                type, shape, Tensors.empty(DType.U8, shape[0], type.bytes(shape[1])));
    }

    public BlockType type() {
        return type;
    }

    /** U8 [out, bytes of a line]; still owned by this matrix. */
    public Tensor blocks() {
        return blocks;
    }

    @Override
    public long[] shape() {
        return shape.clone();
    }

    @Override
    public void dequantizeInto(Tensor out) {
        Kernels.current().blockWeights().decode(blocks, type, out);
    }

    @Override
    public boolean multipliesFewRows(DType dtype, long rows) {
        return Kernels.current().blockWeights().takes(dtype, rows);
    }

    @Override
    public void multiplyInto(Tensor x, Tensor y) {
        Kernels.current().blockWeights().multiply(x, blocks, type, y);
    }

    @Override
    public long byteSize() {
        return blocks.byteSize();
    }

    @Override
    public void close() {
        blocks.close();
    }
}
