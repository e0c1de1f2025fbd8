package org.qlora4j.kernel;

import java.util.Arrays;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** {@link EightBitAdam} in libtorch operations. */
record ReferenceEightBitAdam() implements EightBitAdam {
    @Override
    public void step(Tensor weights, Tensor gradients, EightBitMoments moments, AdamStep step) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor g = blocks(gradients);
            Tensor m = decode(moments.codes1(), moments.absmax1(), moments.table1());
            m.mulInPlace(step.beta1()).addInPlace(g.times(1 - step.beta1()));
            Tensor v = decode(moments.codes2(), moments.absmax2(), moments.table2());
            v.mulInPlace(step.beta2()).addInPlace(g.square().mulInPlace(1 - step.beta2()));

            Tensor root = v.sqrt().mulInPlace(step.root()).addInPlace(step.epsilon());
            Tensor change = m.dividedBy(root).mulInPlace(step.size());
            weights.mulInPlace(step.keep()).addInPlace(elements(change, weights.count()));

            encode(m, moments.codes1(), moments.absmax1(), moments.table1());
            encode(v, moments.codes2(), moments.absmax2(), moments.table2());
        }
    }

    /** A vector as rows of a block each, filled up with zeros: [blocks, 256]. */
    private static Tensor blocks(Tensor vector) {
        long n = vector.count();
        long rows = EightBitMoments.blocks(n);
        Tensor out = Tensors.zeros(vector.dtype(), rows * EightBitMoments.BLOCK);
        out.narrow(0, 0, n).copyFrom(vector);
        return out.view(rows, EightBitMoments.BLOCK);
    }

    private static Tensor elements(Tensor blocks, long n) {
        return blocks.view(blocks.count()).narrow(0, 0, n);
    }

    private static Tensor decode(Tensor codes, Tensor absmax, EightBitTable table) {
        Tensor values = Tensors.of(table.values(), table.values().length);
        Tensor rows = blocks(values.indexSelect(0, codes.to(DType.I32)));
        return rows.mulInPlace(absmax.view(absmax.count(), 1));
    }

    private static void encode(Tensor moment, Tensor codes, Tensor absmax, EightBitTable table) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor largest = moment.abs().amax(1, true);
            absmax.copyFrom(largest.view(absmax.count()));
            // an empty block's zeros stay zeros whatever they are divided by
            Tensor scaled = moment.dividedBy(largest.maskedFillInPlace(largest.equalTo(0), 1));
            float[] middles = Arrays.copyOf(table.middles(), table.middles().length - 1);
            Tensor nearest = scaled.bucketize(Tensors.of(middles, middles.length));
            Tensor negative = scaled.lessThan(Tensors.zeros(scaled.dtype(), 1));
            Tensor below = nearest.lessThan(Tensors.full(table.zero(), nearest.dtype(), 1));
            Tensor lastNegative = Tensors.full(table.zero() - 1, nearest.dtype(), 1);
            Tensor kept = Tensors.where(below, nearest, lastNegative);
            Tensor signKept = Tensors.where(negative, kept, nearest);
            codes.copyFrom(elements(signKept.contiguous(), codes.count()));
        }
    }
}
