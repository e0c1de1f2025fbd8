package org.qlora4j.optim;

import java.lang.foreign.Arena;
import org.qlora4j.checkpoint.SafetensorsFile;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.kernel.AdamStep;
import org.qlora4j.kernel.EightBitMoments;
import org.qlora4j.kernel.EightBitTable;
import org.qlora4j.kernel.Kernels;
import org.qlora4j.quant.DynamicMap;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * Moments of one parameter in 8 bits (arXiv 2110.02861); blocks begin anew with each parameter.
 *
 * @param moments of all its elements
 */
record BlockMoments(TrainableParameters.Slot slot, EightBitMoments moments) implements Moments {
    /** Tensors with fewer elements keep 32 bits: bitsandbytes' {@code min_8bit_size}. */
    static final int LEAST_ELEMENTS = 4096;

    private static final EightBitTable SIGNED = new EightBitTable(DynamicMap.SIGNED.values());
    private static final EightBitTable UNSIGNED = new EightBitTable(DynamicMap.UNSIGNED.values());

    /**
     * @param codes1 U8 [n], zeros; it and the other tensors are this record's from now on
     * @param absmax1 F32 [ceil(n / 256)], zeros
     */
    static BlockMoments of(
            TrainableParameters.Slot slot,
            Tensor codes1,
            Tensor absmax1,
            Tensor codes2,
            Tensor absmax2) {
        return new BlockMoments(
                slot,
                new EightBitMoments(
                        TensorScope.release(codes1),
                        TensorScope.release(absmax1),
                        SIGNED,
                        TensorScope.release(codes2),
                        TensorScope.release(absmax2),
                        UNSIGNED));
    }

    @Override
    public void step(TrainableParameters.Chunk chunk, AdamStep step) {
        long from = chunk.offset() - slot.offset(); // a multiple of the block
        long n = chunk.weights().count();
        long block = from / EightBitMoments.BLOCK;
        long blocks = EightBitMoments.blocks(n);
        EightBitMoments part =
                new EightBitMoments(
                        moments.codes1().narrow(0, from, n),
                        moments.absmax1().narrow(0, block, blocks),
                        moments.table1(),
                        moments.codes2().narrow(0, from, n),
                        moments.absmax2().narrow(0, block, blocks),
                        moments.table2());
        Kernels.current().eightBitAdam().step(chunk.weights(), chunk.gradients(), part, step);
    }

    /**
     * As {@code PARAMETER.state1}, {@code .absmax1}, {@code .state2} and {@code .absmax2},
     * bitsandbytes' names.
     */
    @Override
    public void save(SafetensorsWriter writer, Arena arena) {
        try (TensorScope scope = TensorScope.open()) {
            String name = slot.parameter().name();
            TensorBytes.add(writer, name + ".state1", shaped(moments.codes1()), arena);
            TensorBytes.add(writer, name + ".absmax1", moments.absmax1(), arena);
            TensorBytes.add(writer, name + ".state2", shaped(moments.codes2()), arena);
            TensorBytes.add(writer, name + ".absmax2", moments.absmax2(), arena);
        }
    }

    @Override
    public void load(SafetensorsFile stored) {
        try (TensorScope scope = TensorScope.open()) {
            String name = slot.parameter().name();
            Moments.read(stored, name + ".state1", shaped(moments.codes1()));
            Moments.read(stored, name + ".absmax1", moments.absmax1());
            Moments.read(stored, name + ".state2", shaped(moments.codes2()));
            Moments.read(stored, name + ".absmax2", moments.absmax2());
        }
    }

    private Tensor shaped(Tensor codes) {
        return codes.view(slot.parameter().master().shape());
    }

    @Override
    public void close() {
        moments.codes1().close();
        moments.absmax1().close();
        moments.codes2().close();
        moments.absmax2().close();
    }
}
