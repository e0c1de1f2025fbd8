package org.qlora4j.kernel;

import java.util.ArrayList;
import java.util.List;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** {@link BlockWeights} in libtorch operations: the plain truth, on any device. */
record ReferenceBlockWeights() implements BlockWeights {
    /** Weights decoded at once, which bounds the memory of their integers. */
    private static final long PIECE = 4L << 20;

    /** What an fp16 number's mantissa is times, by its sign and exponent. */
    private static final float[] POWERS = new float[64];

    /** What is added to the mantissa before: 1024, but for subnormal numbers. */
    private static final float[] LEADING = new float[64];

    static {
        for (int i = 0; i < 64; i++) {
            int exponent = i % 32;
            float power = (float) Math.scalb(1.0, Math.max(1, exponent) - 25);
            power = exponent == 31 ? Float.POSITIVE_INFINITY : power;
            POWERS[i] = i < 32 ? power : -power;
            LEADING[i] = exponent == 0 ? 0 : 1024;
        }
    }

    @Override
    public void decode(Tensor blocks, BlockType type, Tensor out) {
        long lines = out.size(0);
        long most = Math.max(1, PIECE / out.size(1));
        for (long from = 0; from < lines; from += most) {
            try (TensorScope scope = TensorScope.open()) {
                long count = Math.min(most, lines - from);
                Tensor part = blocks.narrow(0, from, count);
                Tensor each = part.view(part.count() / type.bytes(), type.bytes());
                out.narrow(0, from, count).copyFrom(values(each, type).view(count, out.size(1)));
            }
        }
    }

    @Override
    public boolean takes(DType dtype, long rows) {
        return false;
    }

    @Override
    public void multiply(Tensor x, Tensor blocks, BlockType type, Tensor y) {
        try (TensorScope scope = TensorScope.open()) {
            Tensor weight = Tensors.empty(DType.F32, y.size(-1), x.size(-1));
            decode(blocks, type, weight);
            y.copyFrom(x.to(DType.F32).linear(weight, null));
        }
    }

    /** The values of blocks [n, bytes]. */
    private static Tensor values(Tensor blocks, BlockType type) {
        return switch (type) {
            case Q4_0 -> whole(nibbles(blocks, 2), 8).times(half(blocks, 0));
            case Q4_1 -> scaled(nibbles(blocks, 4), blocks);
            case Q5_0 -> whole(fives(blocks, 2), 16).times(half(blocks, 0));
            case Q5_1 -> scaled(fives(blocks, 4), blocks);
            case Q8_0 -> signed(part(blocks, 2, 32)).to(DType.F32).times(half(blocks, 0));
            case Q4_K -> minima(blocks, pairs(part(blocks, 16, 128)));
            case Q5_K -> {
                List<Tensor> bits = shifted(part(blocks, 16, 32), 1, 8);
                Tensor fifth = Tensors.cat(bits, 1).leftShift(4);
                yield minima(blocks, pairs(part(blocks, 48, 128)).plus(fifth));
            }
            case Q6_K -> sixes(blocks);
            default -> throw new IllegalArgumentException("weights are not kept in " + type);
        };
    }

    /** Some bytes of each block as integers. */
    private static Tensor part(Tensor blocks, long from, long count) {
        return blocks.narrow(1, from, count).to(DType.I32);
    }

    /** Bytes that stand for -128 to 127. */
    private static Tensor signed(Tensor bytes) {
        return bytes.minus(bytes.rightShift(7).leftShift(8));
    }

    private static Tensor whole(Tensor codes, int zero) {
        return codes.to(DType.F32).addInPlace((double) -zero);
    }

    private static Tensor scaled(Tensor codes, Tensor blocks) {
        return codes.to(DType.F32).times(half(blocks, 0)).plus(half(blocks, 2));
    }

    /** An fp16 number of each block, F32 [n, 1]. */
    private static Tensor half(Tensor blocks, long at) {
        Tensor low = part(blocks, at, 1);
        Tensor high = part(blocks, at + 1, 1);
        Tensor exponent = high.rightShift(2).view(high.count());
        Tensor mantissa = high.bitwiseAnd(3).leftShift(8).plus(low).to(DType.F32);
        Tensor leading = Tensors.of(LEADING, 64).indexSelect(0, exponent).unsqueeze(1);
        Tensor power = Tensors.of(POWERS, 64).indexSelect(0, exponent).unsqueeze(1);
        return mantissa.plus(leading).times(power);
    }

    /** 16 bytes: low nibbles are values 0 to 15, high ones 16 to 31. */
    private static Tensor nibbles(Tensor blocks, long at) {
        Tensor codes = part(blocks, at, 16);
        return Tensors.cat(List.of(codes.bitwiseAnd(15), codes.rightShift(4)), 1);
    }

    /** 32 fifth bits, then the nibbles. */
    private static Tensor fives(Tensor blocks, long at) {
        Tensor high = part(blocks, at, 4);
        List<Tensor> bits = new ArrayList<>();
        for (int bit = 0; bit < 8; bit++) {
            bits.add(high.rightShift(bit).bitwiseAnd(1).unsqueeze(2));
        }
        Tensor fifth = Tensors.cat(bits, 2).view(blocks.size(0), 32).leftShift(4);
        return nibbles(blocks, at + 4).plus(fifth);
    }

    /** Bits of [n, k] from each place on, [n, 1, k] for each of them. */
    private static List<Tensor> shifted(Tensor bytes, int bits, int places) {
        List<Tensor> out = new ArrayList<>();
        for (int place = 0; place < places; place++) {
            out.add(bytes.rightShift(bits * place).bitwiseAnd((1 << bits) - 1).unsqueeze(1));
        }
        return out;
    }

    /** 128 bytes of nibbles: each 32 are the low and then the high ones of a sub-block. */
    private static Tensor pairs(Tensor bytes) {
        Tensor four = bytes.view(bytes.size(0), 4, 32);
        List<Tensor> both =
                List.of(four.bitwiseAnd(15).unsqueeze(2), four.rightShift(4).unsqueeze(2));
        return Tensors.cat(both, 2).view(bytes.size(0), 8, 32);
    }

    /** Codes [n, 8, 32] of Q4_K or Q5_K times the scales of sub-blocks, less their minima. */
    private static Tensor minima(Tensor blocks, Tensor codes) {
        Tensor a = part(blocks, 4, 4);
        Tensor b = part(blocks, 8, 4);
        Tensor c = part(blocks, 12, 4);
        Tensor highScales = c.bitwiseAnd(15).plus(a.rightShift(6).leftShift(4));
        Tensor highMinima = c.rightShift(4).plus(b.rightShift(6).leftShift(4));
        Tensor scales = Tensors.cat(List.of(a.bitwiseAnd(63), highScales), 1).to(DType.F32);
        Tensor minima = Tensors.cat(List.of(b.bitwiseAnd(63), highMinima), 1).to(DType.F32);
        Tensor d = half(blocks, 0).times(scales).unsqueeze(2);
        Tensor m = half(blocks, 2).times(minima).unsqueeze(2);
        return d.times(codes.to(DType.F32)).minus(m);
    }

    /** 128 bytes of nibbles, 64 of pairs above them, 16 scales in 8 bits, the scale. */
    private static Tensor sixes(Tensor blocks) {
        long n = blocks.size(0);
        Tensor nibbles = part(blocks, 0, 128).view(2 * n, 64);
        Tensor low = Tensors.cat(List.of(nibbles.bitwiseAnd(15), nibbles.rightShift(4)), 1);
        Tensor high = Tensors.cat(shifted(part(blocks, 128, 64).view(2 * n, 32), 2, 4), 1);
        Tensor codes = low.view(n, 16, 16).plus(high.leftShift(4).view(n, 16, 16));
        Tensor scales = signed(part(blocks, 192, 16)).to(DType.F32);
        return half(blocks, 208).times(scales).unsqueeze(2).times(whole(codes, 32));
    }
}
