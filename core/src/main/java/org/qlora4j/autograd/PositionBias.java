package org.qlora4j.autograd;

import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * A learnt number for each head and distance, added to attention's scores (T5, arXiv 1910.10683,
 * section 2.1). Distances share buckets, the wider the farther.
 *
 * @param table [buckets, heads]
 * @param bothWays whether keys behind the query have buckets of their own, half of them
 * @param maxDistance from which on all are in the last bucket
 */
public record PositionBias(Parameter table, boolean bothWays, int maxDistance) {
    /** The bucket of a key so far behind its query; negative before it. */
    int bucket(int distance) {
        int buckets = (int) table.shape()[0] / (bothWays ? 2 : 1);
        int base = bothWays && distance > 0 ? buckets : 0;
        int away = bothWays ? Math.abs(distance) : Math.max(-distance, 0);
        int exact = buckets / 2;
        if (away < exact) {
            return base + away;
        }
        double share = Math.log((double) away / exact) / Math.log((double) maxDistance / exact);
        // in f32, as torch counts
        int far = exact + (int) ((float) share * (buckets - exact));
        return base + Math.min(buckets - 1, far);
    }

    /** Buckets [rows * keys] of a block of queries and keys. */
    long[] buckets(int firstQuery, int rows, int firstKey, int keys) {
        long[] out = new long[rows * keys];
        for (int row = 0; row < rows; row++) {
            for (int key = 0; key < keys; key++) {
                out[row * keys + key] = bucket(firstKey + key - firstQuery - row);
            }
        }
        return out;
    }

    /** Adds it to scores [sequences * heads, rows, keys]. */
    void addTo(Tensor scores, Tensor buckets) {
        long heads = table.shape()[1];
        long rows = scores.size(1);
        long keys = scores.size(2);
        Tensor bias = table.value().indexSelect(0, buckets).view(rows, keys, heads);
        scores.view(scores.size(0) / heads, heads, rows, keys).addInPlace(bias.permute(2, 0, 1));
    }

    /** Adds the gradient that comes by scores, of their shape. */
    void addGradient(Tensor dScores, Tensor buckets) {
        if (!table.trainable()) {
            return;
        }
        long heads = table.shape()[1];
        DType wide = table.grad().dtype();
        Tensor sum = dScores.view(-1, heads, buckets.count()).to(wide).sum(0, false);
        table.grad().indexAddInPlace(0, buckets, sum.t().contiguous());
    }
}
