package org.qlora4j.kernel;

import java.util.List;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** {@link FourBit} in libtorch operations: the plain truth, on any device. */
record ReferenceFourBit() implements FourBit {
    @Override
    public void quantize(
            Tensor values, CodeTable table, int blockSize, Tensor codes, Tensor absmax) {
        try (TensorScope scope = TensorScope.open()) {
            long n = values.count();
            long full = n / blockSize;
            Tensor flat = values.view(n).to(DType.F32);
            Tensor positions = Tensors.empty(DType.I64, n + n % 2);
            if (full > 0) {
                Tensor blocks = flat.narrow(0, 0, full * blockSize).view(full, blockSize);
                Tensor scale = blocks.abs().amax(1, true);
                absmax.narrow(0, 0, full).copyFrom(scale.view(full));
                position(blocks, scale, table, positions.narrow(0, 0, full * blockSize));
            }
            long rest = n - full * blockSize;
            if (rest > 0) {
                Tensor block = flat.narrow(0, full * blockSize, rest).view(1, rest);
                Tensor scale = clampTiny(block.abs().amax(1, true));
                absmax.narrow(0, full, 1).copyFrom(scale.view(1));
                position(block, scale, table, positions.narrow(0, full * blockSize, rest));
            }
            if (n % 2 == 1) {
                positions
                        .narrow(0, n, 1)
                        .copyFrom(Tensors.of(new float[] {0}, 1).bucketize(thresholds(table)));
            }
            Tensor pairs =
                    Tensors.of(table.codeOfPosition(), 16)
                            .indexSelect(0, positions)
                            .view((n + 1) / 2, 2);
            codes.copyFrom(pairs.select(1, 0).leftShift(4).plus(pairs.select(1, 1)));
        }
    }

    private static void position(Tensor blocks, Tensor absmax, CodeTable table, Tensor out) {
        Tensor x = blocks.times(clampTiny(absmax).reciprocal());
        out.copyFrom(x.bucketize(thresholds(table)).view(out.count()));
    }

    private static Tensor clampTiny(Tensor absmax) {
        Tensor tiny = Tensors.full(TINY, DType.F32, 1, 1);
        return Tensors.where(absmax.lessThan(tiny), tiny, absmax);
    }

    private static Tensor thresholds(CodeTable table) {
        return Tensors.of(table.thresholds(), 15);
    }

    @Override
    public void dequantize(
            Tensor codes, BlockScales scales, CodeTable table, int blockSize, Tensor out) {
        try (TensorScope scope = TensorScope.open()) {
            long n = out.count();
            Tensor packed = codes.view(codes.count()).to(DType.I32);
            Tensor halves =
                    Tensors.cat(
                            List.of(
                                    packed.rightShift(4).unsqueeze(1),
                                    packed.bitwiseAnd(15).unsqueeze(1)),
                            1);
            Tensor levels =
                    Tensors.of(table.levels(), 16)
                            .indexSelect(0, halves.view(2 * codes.count()))
                            .narrow(0, 0, n);
            Tensor absmax = absmax(scales);
            long blocks = absmax.count();
            Tensor perValue =
                    absmax.view(blocks, 1)
                            .expand(blocks, blockSize)
                            .reshape(blocks * blockSize)
                            .narrow(0, 0, n);
            out.view(n).copyFrom(levels.times(perValue));
        }
    }

    /** The decoded absmax of each block, F32 [blocks]. */
    private static Tensor absmax(BlockScales scales) {
        Tensor nested = scales.nestedAbsmax();
        if (nested == null) {
            return scales.absmax();
        }
        long blocks = scales.absmax().count();
        long groups = nested.count();
        Tensor values = Tensors.of(scales.map(), 256).indexSelect(0, scales.absmax().to(DType.I32));
        Tensor perBlock =
                nested.view(groups, 1)
                        .expand(groups, BlockScales.NESTED_BLOCK)
                        .reshape(groups * BlockScales.NESTED_BLOCK)
                        .narrow(0, 0, blocks);
        return values.times(perBlock).plus(scales.offset());
    }
}
