package org.qlora4j.kernel;

import static org.qlora4j.kernel.TileProducts.TILE;

import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link TiledAttention} with the Vector API, for F32: where bf16 has instructions of its own,
 * libtorch's products of it are faster. A task is a key head of a sequence with all its queries, so
 * that no two add to the same gradient.
 */
record VectorTiledAttention(Workers workers) implements TiledAttention {
    private static final ThreadLocal<AttentionTile> TILES =
            ThreadLocal.withInitial(AttentionTile::new);

    @Override
    public boolean takes(DType dtype) {
        return dtype == DType.F32 && VectorWidth.WHOLE;
    }

    @Override
    public void forward(
            Tensor q,
            Tensor k,
            Tensor v,
            double scale,
            double softcap,
            BlockMask mask,
            Tensor out,
            @Nullable Tensor logSums) {
        Shape s = Shape.of(q, k, mask);
        FloatMemory queries = FloatMemory.of(q);
        FloatMemory keys = FloatMemory.of(k);
        FloatMemory values = FloatMemory.of(v);
        FloatMemory target = FloatMemory.of(out);
        FloatMemory sums = logSums == null ? null : FloatMemory.of(logSums);
        workers.run(
                s.batch * s.kvHeads,
                task -> {
                    AttentionTile tile = TILES.get();
                    tile.beginKeys(s.keys, s.headDim, (float) softcap);
                    tile.layOutKeys(keys, values, s.keyAt(task), s.keyStride(), false);
                    for (int head = 0; head < s.group; head++) {
                        for (int row = 0; row < s.queries; row += TILE) {
                            int rows = Math.min(TILE, s.queries - row);
                            long at = s.queryAt(task, head, row);
                            tile.beginQueries(queries, at, s.queryStride(), rows, (float) scale);
                            tile.attend(mask, s.maskRow(task, row));
                            tile.writeOut(target, at, s.queryStride());
                            if (sums != null) {
                                tile.writeLogSums(sums, s.sumAt(task, head, row));
                            }
                        }
                    }
                });
    }

    @Override
    public void backward(Forward f, Tensor dOut, Tensor dq, Tensor dk, Tensor dv) {
        Shape s = Shape.of(f.q(), f.k(), f.mask());
        FloatMemory queries = FloatMemory.of(f.q());
        FloatMemory keys = FloatMemory.of(f.k());
        FloatMemory values = FloatMemory.of(f.v());
        FloatMemory out = FloatMemory.of(f.out());
        FloatMemory sums = FloatMemory.of(f.logSums());
        FloatMemory dOuts = FloatMemory.of(dOut);
        FloatMemory dQueries = FloatMemory.of(dq);
        FloatMemory dKeys = FloatMemory.of(dk);
        FloatMemory dValues = FloatMemory.of(dv);
        float scale = (float) f.scale();
        workers.run(
                s.batch * s.kvHeads,
                task -> {
                    AttentionTile tile = TILES.get();
                    tile.beginKeys(s.keys, s.headDim, (float) f.softcap());
                    tile.layOutKeys(keys, values, s.keyAt(task), s.keyStride(), true);
                    for (int head = 0; head < s.group; head++) {
                        for (int row = 0; row < s.queries; row += TILE) {
                            int rows = Math.min(TILE, s.queries - row);
                            long at = s.queryAt(task, head, row);
                            tile.beginQueries(queries, at, s.queryStride(), rows, scale);
                            tile.beginGradients(dOuts, out, at, s.queryStride());
                            tile.readLogSums(sums, s.sumAt(task, head, row));
                            tile.differentiate(f.mask(), s.maskRow(task, row));
                            tile.writeQueryGradients(dQueries, at, s.queryStride(), scale);
                        }
                    }
                    tile.writeKeyGradients(dKeys, dValues, s.keyAt(task), s.keyStride());
                });
    }

    /** Sizes, and where things begin; a task is a key head of a sequence. */
    private record Shape(int batch, int queries, int keys, int kvHeads, int group, int headDim) {
        static Shape of(Tensor q, Tensor k, BlockMask mask) {
            if (mask.sequences() != q.size(0)
                    || mask.rows() != q.size(1)
                    || mask.keys() != k.size(1)) {
                throw new IllegalArgumentException(
                        "attention: queries %s and keys %s do not fit the mask".formatted(q, k));
            }
            return new Shape(
                    (int) q.size(0),
                    (int) q.size(1),
                    (int) k.size(1),
                    (int) k.size(2),
                    (int) (q.size(2) / k.size(2)),
                    (int) q.size(3));
        }

        long keyStride() {
            return (long) kvHeads * headDim;
        }

        long queryStride() {
            return keyStride() * group;
        }

        long keyAt(int task) {
            return task / kvHeads * keys * keyStride() + (long) (task % kvHeads) * headDim;
        }

        long queryAt(int task, int head, int row) {
            long headOfAll = (long) task % kvHeads * group + head;
            return ((long) task / kvHeads * queries + row) * queryStride() + headOfAll * headDim;
        }

        /** In [batch, heads, queries]. */
        long sumAt(int task, int head, int row) {
            return ((long) task * group + head) * queries + row;
        }

        int maskRow(int task, int row) {
            return task / kvHeads * queries + row;
        }
    }
}
