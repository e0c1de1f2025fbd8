package org.qlora4j.kernel;

import static java.util.Objects.requireNonNull;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * {@link StreamAttention} with the Vector API: a task is a row's key head, whose queries share each
 * vector of keys and values.
 *
 * @param reference computes the types that are neither f32 nor bf16
 * @param machine whether {@link Avx2LineSums} run here: they do the same in half the time
 */
record VectorStreamAttention(Workers workers, StreamAttention reference, boolean machine)
        implements StreamAttention {
    /** Queries worked on together: their sums and a vector of keys stay in registers. */
    private static final int QUERIES = 4;

    private static final int LANES = FloatMemory.LANES;

    /** Sizes and tensors of one step. */
    private record Step(
            FloatMemory q,
            FloatMemory k,
            FloatMemory v,
            @Nullable FloatMemory[] keys,
            @Nullable FloatMemory[] values,
            FloatMemory out,
            int kvHeads,
            int group,
            int headDim,
            int[] capacities,
            float scale,
            float softcap,
            int window,
            boolean machine) {}

    @Override
    public void step(
            Tensor q,
            Tensor k,
            Tensor v,
            @Nullable Tensor[] keys,
            @Nullable Tensor[] values,
            int[] lengths,
            double scale,
            double softcap,
            int window,
            Tensor out) {
        if (!FloatMemory.reads(q.dtype())) {
            reference.step(q, k, v, keys, values, lengths, scale, softcap, window, out);
            return;
        }
        int headDim = Math.toIntExact(q.size(-1));
        int kvHeads = Math.toIntExact(k.count() / lengths.length / headDim);
        Step s =
                new Step(
                        FloatMemory.of(q),
                        FloatMemory.of(k),
                        FloatMemory.of(v),
                        rows(keys, lengths),
                        rows(values, lengths),
                        FloatMemory.of(out),
                        kvHeads,
                        Math.toIntExact(q.count() / k.count()),
                        headDim,
                        capacities(values, lengths),
                        (float) scale,
                        (float) softcap,
                        window,
                        machine && q.dtype() == DType.F32 && headDim % Avx2LineSums.LANES == 0);
        workers.run(lengths.length * kvHeads, task -> keyHead(s, task, lengths[task / kvHeads]));
    }

    private static @Nullable FloatMemory[] rows(@Nullable Tensor[] stores, int[] lengths) {
        @Nullable FloatMemory[] out = new @Nullable FloatMemory[lengths.length];
        for (int row = 0; row < out.length; row++) {
            out[row] = lengths[row] < 0 ? null : FloatMemory.of(requireNonNull(stores[row]));
        }
        return out;
    }

    private static int[] capacities(@Nullable Tensor[] values, int[] lengths) {
        int[] out = new int[lengths.length];
        for (int row = 0; row < out.length; row++) {
            out[row] = lengths[row] < 0 ? 0 : Math.toIntExact(requireNonNull(values[row]).size(1));
        }
        return out;
    }

    /**
     * @param index of the key head among those of all rows
     * @param length positions the row holds
     */
    private static void keyHead(Step s, int index, int length) {
        long firstQuery = (long) index * s.group * s.headDim;
        if (length < 0) {
            s.out.clear(firstQuery, firstQuery + (long) s.group * s.headDim);
            return;
        }
        int row = index / s.kvHeads;
        FloatMemory keys = requireNonNull(s.keys[row]);
        FloatMemory values = requireNonNull(s.values[row]);
        long keyStart = (long) (index % s.kvHeads) * s.capacities[row] * s.headDim;
        append(s, keys, values, index, length, keyStart);
        int first = s.window == 0 ? 0 : Math.max(0, length + 1 - s.window);
        int start = first / BLOCK * BLOCK; // whole blocks before the window are passed over
        long seenStart = keyStart + (long) start * s.headDim;
        int hidden = first - start;
        int seen = length + 1 - start;
        int padded = (seen + BLOCK - 1) / BLOCK * BLOCK;
        float[] scratch = FloatMemory.scratch(QUERIES * (s.headDim + padded));
        int scores = QUERIES * s.headDim;
        for (int from = 0; from < s.group; from += QUERIES) {
            int count = Math.min(QUERIES, s.group - from);
            long queries = firstQuery + (long) from * s.headDim;
            int lists = s.machine ? count : QUERIES; // where there are fewer, the last is repeated
            for (int i = 0; i < lists; i++) {
                long query = queries + (long) Math.min(i, count - 1) * s.headDim;
                for (int d = 0; d < s.headDim; d++) {
                    scratch[i * s.headDim + d] = s.q.get(query + d) * s.scale;
                }
            }
            if (s.machine) {
                scoreByMachine(keys, seenStart, s.headDim, padded, scratch, count);
            } else {
                score(keys, seenStart, s.headDim, padded, scratch);
            }
            for (int i = 0; i < count; i++) {
                if (s.softcap != 0) {
                    FastTanh.cap(scratch, scores + i * padded, padded, s.softcap);
                }
                softmax(scratch, scores + i * padded, hidden, seen, padded);
            }
            if (s.machine) {
                weighByMachine(s, values, seenStart, seen, padded, scratch, queries, count);
                continue;
            }
            for (int i = count; i < QUERIES; i++) {
                System.arraycopy(
                        scratch, scores, scratch, scores + i * padded, padded); // finite: unused
            }
            weigh(s, values, seenStart, seen, padded, scratch, queries, count);
        }
    }

    private static void append(
            Step s, FloatMemory keys, FloatMemory values, int index, int length, long keyStart) {
        long added = (long) index * s.headDim;
        long key = keyStart + (long) (length / BLOCK) * s.headDim * BLOCK + length % BLOCK;
        long value = keyStart + (long) length * s.headDim;
        for (int d = 0; d < s.headDim; d++) {
            keys.set(key + (long) d * BLOCK, s.k.get(added + d));
            values.set(value + d, s.v.get(added + d));
        }
    }

    /** As {@link #score}, for {@code count} queries; a tile is of whole blocks of positions. */
    private static void scoreByMachine(
            FloatMemory keys, long keyStart, int headDim, int padded, float[] scratch, int count) {
        int block = headDim * BLOCK * Float.BYTES;
        int perBlock = BLOCK / Avx2LineSums.LANES;
        int query = headDim * Float.BYTES;
        int most = Avx2LineSums.vectorsFor(count) / perBlock; // blocks of a tile
        int line = BLOCK * Float.BYTES;
        MemorySegment room = MemorySegment.ofArray(scratch);
        MemorySegment blocks = keys.part(keyStart, (long) padded * headDim);
        Avx2LineSums.inTiles(
                padded / BLOCK,
                most,
                (done, width, tiles) -> {
                    int vectors = width * perBlock;
                    long sums = QUERIES * headDim + (long) done * BLOCK;
                    new Avx2LineSums(count, vectors, perBlock, block, line, width * block, query, 0)
                            .run(
                                    blocks.address() + (long) done * block,
                                    room,
                                    room.asSlice(sums * Float.BYTES),
                                    (long) padded * Float.BYTES,
                                    headDim,
                                    tiles);
                });
    }

    /** Products of four queries with every key; those of positions not yet written mean nothing. */
    private static void score(
            FloatMemory keys, long keyStart, int headDim, int padded, float[] scratch) {
        int scores = QUERIES * headDim;
        for (int i = 0; i < padded; i += LANES) {
            FloatVector a = FloatVector.zero(FloatMemory.FLOATS);
            FloatVector b = a;
            FloatVector c = a;
            FloatVector e = a;
            long at = keyStart + (long) (i / BLOCK * BLOCK) * headDim + i % BLOCK;
            for (int d = 0; d < headDim; d++) {
                FloatVector key = keys.load(at + (long) d * BLOCK);
                a = FloatMemory.fma(key, broadcast(scratch[d]), a);
                b = FloatMemory.fma(key, broadcast(scratch[headDim + d]), b);
                c = FloatMemory.fma(key, broadcast(scratch[2 * headDim + d]), c);
                e = FloatMemory.fma(key, broadcast(scratch[3 * headDim + d]), e);
            }
            a.intoArray(scratch, scores + i);
            b.intoArray(scratch, scores + padded + i);
            c.intoArray(scratch, scores + 2 * padded + i);
            e.intoArray(scratch, scores + 3 * padded + i);
        }
    }

    private static void softmax(float[] e, int from, int hidden, int seen, int padded) {
        Arrays.fill(e, from, from + hidden, Float.NEGATIVE_INFINITY);
        Arrays.fill(e, from + seen, from + padded, Float.NEGATIVE_INFINITY);
        float sum =
                VectorWidth.WHOLE ? exponentials(e, from, padded) : oneByOne(e, from, seen, padded);
        float inverse = 1 / sum;
        for (int i = 0; i < padded; i += LANES) {
            FloatVector.fromArray(FloatMemory.FLOATS, e, from + i)
                    .mul(inverse)
                    .intoArray(e, from + i);
        }
    }

    /**
     * Turns each x into {@code exp(x - max)}.
     *
     * @return their sum
     */
    private static float exponentials(float[] e, int from, int padded) {
        FloatVector maxima = broadcast(Float.NEGATIVE_INFINITY);
        for (int i = 0; i < padded; i += LANES) {
            maxima = maxima.max(FloatVector.fromArray(FloatMemory.FLOATS, e, from + i));
        }
        float max = maxima.reduceLanes(VectorOperators.MAX);
        FloatVector sums = FloatVector.zero(FloatMemory.FLOATS);
        for (int i = 0; i < padded; i += LANES) {
            FloatVector y =
                    FastExp.of(FloatVector.fromArray(FloatMemory.FLOATS, e, from + i).sub(max));
            y.intoArray(e, from + i);
            sums = sums.add(y);
        }
        return FloatMemory.sum(sums);
    }

    private static float oneByOne(float[] e, int from, int seen, int padded) {
        float max = Float.NEGATIVE_INFINITY;
        for (int i = from; i < from + seen; i++) {
            max = Math.max(max, e[i]);
        }
        float sum = 0;
        for (int i = from; i < from + padded; i++) {
            e[i] = FastExp.of(e[i] - max);
            sum += e[i];
        }
        return sum;
    }

    /** As {@link #weigh}. */
    private static void weighByMachine(
            Step s,
            FloatMemory values,
            long start,
            int seen,
            int padded,
            float[] scratch,
            long out,
            int count) {
        int headDim = s.headDim;
        int query = headDim * Float.BYTES;
        MemorySegment lines = values.part(start, (long) seen * headDim);
        MemorySegment weights =
                MemorySegment.ofArray(scratch).asSlice((long) QUERIES * headDim * Float.BYTES);
        Avx2LineSums.inTiles(
                headDim / Avx2LineSums.LANES,
                Avx2LineSums.vectorsFor(count),
                (done, width, tiles) -> {
                    int at = done * Avx2LineSums.LANES;
                    int tile = width * Avx2LineSums.LANES * Float.BYTES;
                    new Avx2LineSums(count, width, width, 0, query, tile, 0, query)
                            .run(
                                    lines.address() + (long) at * Float.BYTES,
                                    weights,
                                    s.out.memory().asSlice((out + at) * Float.BYTES),
                                    (long) padded * Float.BYTES,
                                    seen,
                                    tiles);
                });
    }

    /** Sums of the values by the probabilities, written for {@code count} queries. */
    private static void weigh(
            Step s,
            FloatMemory values,
            long start,
            int seen,
            int padded,
            float[] scratch,
            long out,
            int count) {
        int first = QUERIES * s.headDim;
        int headDim = s.headDim;
        int d = 0;
        for (; d <= headDim - LANES; d += LANES) {
            FloatVector a = FloatVector.zero(FloatMemory.FLOATS);
            FloatVector b = a;
            FloatVector c = a;
            FloatVector e = a;
            for (int t = 0; t < seen; t++) {
                FloatVector value = values.load(start + (long) t * headDim + d);
                int p = first + t;
                a = FloatMemory.fma(value, broadcast(scratch[p]), a);
                b = FloatMemory.fma(value, broadcast(scratch[p + padded]), b);
                c = FloatMemory.fma(value, broadcast(scratch[p + 2 * padded]), c);
                e = FloatMemory.fma(value, broadcast(scratch[p + 3 * padded]), e);
            }
            s.out.store(a, out + d);
            if (count > 1) {
                s.out.store(b, out + headDim + d);
            }
            if (count > 2) {
                s.out.store(c, out + 2L * headDim + d);
            }
            if (count > 3) {
                s.out.store(e, out + 3L * headDim + d);
            }
        }
        for (; d < headDim; d++) {
            for (int i = 0; i < count; i++) {
                float sum = 0;
                for (int t = 0; t < seen; t++) {
                    sum +=
                            values.get(start + (long) t * headDim + d)
                                    * scratch[first + i * padded + t];
                }
                s.out.set(out + (long) i * headDim + d, sum);
            }
        }
    }

    private static FloatVector broadcast(float value) {
        return FloatVector.broadcast(FloatMemory.FLOATS, value);
    }
}
