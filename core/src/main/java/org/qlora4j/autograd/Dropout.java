package org.qlora4j.autograd;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Dropout masks by counter: element i of a row's mask is a hash of the row's key and i. The
 * backward pass, and a checkpointed block that runs again, make the same mask from the same keys
 * and store none.
 */
public final class Dropout {
    /** Elements made at once: bounds the memory of the steps of the hash. */
    private static final int CHUNK = 1 << 16;

    private Dropout() {}

    /**
     * A mask of 0 and 1 / (1 - p) in the given shape.
     *
     * @param keys of equal parts of the first dimension, in their order
     * @param p share of zeros, in (0, 1)
     */
    static Tensor mask(long[] keys, double p, DType dtype, long... shape) {
        if (keys.length == 0 || shape[0] % keys.length != 0) {
            throw new IllegalArgumentException(
                    "%d rows with %d dropout keys".formatted(shape[0], keys.length));
        }
        try (TensorScope scope = TensorScope.open()) {
            long count = 1;
            for (long s : shape) {
                count *= s;
            }
            Tensor mask = Tensors.empty(dtype, count);
            long part = count / keys.length;
            long parts = Tensors.haveValues() ? keys.length : 1;
            for (int i = 0; i < parts; i++) {
                fill(mask.narrow(0, i * part, part), keys[i], p);
            }
            return scope.promote(mask.view(shape));
        }
    }

    private static void fill(Tensor mask, long key, double p) {
        long count = mask.count();
        long end = Tensors.haveValues() ? count : Math.min(count, CHUNK);
        for (long from = 0; from < end; from += CHUNK) {
            try (TensorScope chunk = TensorScope.open()) {
                long length = Math.min(CHUNK, count - from);
                Tensor x = hash(key, from, length);
                Tensor kept = x.greaterOrEqual((long) (p * 0x1p32)).to(mask.dtype());
                mask.narrow(0, from, length).copyFrom(kept.mulInPlace(1 / (1 - p)));
            }
        }
    }

    /**
     * A 32-bit integer hash with low bias (Ellis, "lowbias32"). It hashes the elements from {@code
     * from}, in the low half of 64-bit lanes.
     */
    private static Tensor hash(long key, long from, long length) {
        Tensor x = Tensors.arange(length, DType.I64);
        x.addInPlace(from + (key >>> 33)); // a different stretch of the counter for each key …
        x = xorShift(x.bitwiseAnd(0xFFFFFFFFL), 16);
        x = multiply(x, 0x7feb352dL);
        double low = (double) (key & 0x7FFFFFFFL); // … and another mixing
        x = x.bitwiseXor(Tensors.full(low, DType.I64, 1));
        x = xorShift(x, 15);
        x = multiply(x, 0x846ca68bL);
        return xorShift(x, 16);
    }

    private static Tensor xorShift(Tensor x, int bits) {
        return x.bitwiseXor(x.rightShift(bits));
    }

    private static Tensor multiply(Tensor x, long factor) {
        return x.times(Tensors.full((double) factor, DType.I64, 1)).bitwiseAnd(0xFFFFFFFFL);
    }

    /** Mixes all 64 bits (the finalizer of splitmix64). */
    static long mix(long z) {
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }
}
