package org.qlora4j.kernel;

import static org.qlora4j.kernel.TileProducts.PANEL;
import static org.qlora4j.kernel.TileProducts.QUAD;
import static org.qlora4j.kernel.TileProducts.TILE;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * What a thread works on in {@link VectorTiledAttention}: the keys and values of one head, a block
 * of queries, and the tile where both meet.
 *
 * <p>Scores are {@code cap((scale * q) · k)}. Each row keeps the largest so far and the sum of
 * exponentials below it; what was summed before is shrunk when a larger one comes. Methods that
 * loop over vectors are short: in longer ones the JVM leaves vectors as objects.
 */
final class AttentionTile {
    private static final VectorSpecies<Float> FLOATS = FloatMemory.FLOATS;
    private static final int LANES = FLOATS.length();
    private static final float NONE = Float.NEGATIVE_INFINITY;

    private int keys;
    private int headDim;
    private int width; // headDim in whole panels
    private int rows;
    private float softcap; // bound of the scores; 0 for none

    // of all keys
    private float[] keysAcross = {}; // B of q · kᵀ
    private float[] valuesAcross = {}; // B of dOut · vᵀ
    private float[] keysDown = {}; // B of dScores · k
    private float[] valuesDown = {}; // B of p · v
    private float[] dKeys = {}; // [keys in whole quads, width]
    private float[] dValues = {};

    // of the block of queries
    private float[] queryQuads = {};
    private float[] queryPanels = {};
    private float[] dOutQuads = {};
    private float[] dOutPanels = {};
    private float[] sums = {}; // [TILE, width]: out, or the gradient of the queries
    private float[] row = {};
    private final float[] largest = new float[TILE];
    private final float[] shrink = new float[TILE];
    private final float[] total = new float[TILE];
    private final float[] logSum = new float[TILE];
    private final float[] dots = new float[TILE]; // sum over headDim of dOut * out

    // of the tile
    private final float[] scores = new float[TILE * TILE]; // then probabilities
    private final float[] dScores = new float[TILE * TILE];
    private final int[] low = new int[TILE]; // the first key of the tile that a row sees
    private final int[] high = new int[TILE]; // one past the last; not above low if it sees none
    private final int[] quadLow = new int[TILE / QUAD]; // of four rows together
    private final int[] quadHigh = new int[TILE / QUAD];
    private boolean whole; // every row sees every key

    private static float[] room(float[] had, int size) {
        return had.length < size ? new float[size] : had;
    }

    // ---- keys

    void beginKeys(int newKeys, int newHeadDim, float newSoftcap) {
        softcap = newSoftcap;
        keys = newKeys;
        headDim = newHeadDim;
        width = TileProducts.wholePanels(newHeadDim);
        row = room(row, width);
        sums = room(sums, TILE * width);
        queryQuads = room(queryQuads, TILE * width);
    }

    /**
     * @param at the first element of keys and of values
     * @param stride elements from one position to the next
     */
    void layOutKeys(FloatMemory k, FloatMemory v, long at, long stride, boolean backward) {
        keysAcross = room(keysAcross, TileProducts.wholePanels(keys) * headDim);
        TileProducts.panelsOfRows(k, at, stride, keys, headDim, row, keysAcross);
        if (!backward) {
            valuesDown = room(valuesDown, keys * width);
            TileProducts.panels(v, at, stride, keys, headDim, 1, valuesDown, keys);
            return;
        }
        valuesAcross = room(valuesAcross, TileProducts.wholePanels(keys) * headDim);
        TileProducts.panelsOfRows(v, at, stride, keys, headDim, row, valuesAcross);
        keysDown = room(keysDown, keys * width);
        TileProducts.panels(k, at, stride, keys, headDim, 1, keysDown, keys);
        int size = (keys + QUAD) * width;
        dKeys = room(dKeys, size);
        dValues = room(dValues, size);
        Arrays.fill(dKeys, 0, size, 0);
        Arrays.fill(dValues, 0, size, 0);
    }

    void writeKeyGradients(FloatMemory dk, FloatMemory dv, long at, long stride) {
        for (int key = 0; key < keys; key++) {
            TileProducts.writeRow(dKeys, key * width, headDim, 1, dk, at + key * stride);
            TileProducts.writeRow(dValues, key * width, headDim, 1, dv, at + key * stride);
        }
    }

    // ---- queries

    void beginQueries(FloatMemory q, long at, long stride, int newRows, float scale) {
        rows = newRows;
        TileProducts.quadsOf(q, at, stride, rows, headDim, scale, row, queryQuads);
        Arrays.fill(sums, 0, TILE * width, 0);
        Arrays.fill(largest, NONE);
        Arrays.fill(total, 0);
    }

    /** After {@link #beginQueries}, whose queries the gradients are laid out beside. */
    void beginGradients(FloatMemory dOut, FloatMemory out, long at, long stride) {
        dOutQuads = room(dOutQuads, TILE * width);
        dOutPanels = room(dOutPanels, TILE * width);
        queryPanels = room(queryPanels, TILE * width);
        TileProducts.quadsOf(dOut, at, stride, rows, headDim, 1, row, dOutQuads);
        TileProducts.panels(dOut, at, stride, rows, headDim, 1, dOutPanels, TILE);
        panelsOfQuads(queryQuads, queryPanels);
        for (int r = 0; r < rows; r++) {
            dots[r] = dot(dOut, out, at + r * stride);
        }
    }

    /** Scaled queries, laid out as B of {@code dScoresᵀ · q}. */
    private void panelsOfQuads(float[] quads, float[] panels) {
        for (int i = 0; i < width; i++) {
            int to = i / PANEL * TILE * PANEL + i % PANEL;
            for (int r = 0; r < rows; r++) {
                panels[to + r * PANEL] =
                        i < headDim ? quads[(r / QUAD * headDim + i) * QUAD + r % QUAD] : 0;
            }
        }
    }

    private float dot(FloatMemory a, FloatMemory b, long at) {
        FloatVector products = FloatVector.zero(FLOATS);
        int i = 0;
        for (; i <= headDim - LANES; i += LANES) {
            products = a.load(at + i).fma(b.load(at + i), products);
        }
        float dot = FloatMemory.sum(products);
        for (; i < headDim; i++) {
            dot += a.get(at + i) * b.get(at + i);
        }
        return dot;
    }

    void writeOut(FloatMemory out, long at, long stride) {
        for (int r = 0; r < rows; r++) {
            float factor = total[r] > 0 ? 1 / total[r] : 0;
            TileProducts.writeRow(sums, r * width, headDim, factor, out, at + r * stride);
        }
    }

    void writeLogSums(FloatMemory to, long at) {
        for (int r = 0; r < rows; r++) {
            boolean sees = total[r] > 0;
            to.set(
                    at + r,
                    sees ? (float) (largest[r] + Math.log(total[r])) : Float.POSITIVE_INFINITY);
        }
    }

    void readLogSums(FloatMemory from, long at) {
        for (int r = 0; r < rows; r++) {
            logSum[r] = from.get(at + r);
        }
    }

    void writeQueryGradients(FloatMemory dq, long at, long stride, float scale) {
        for (int r = 0; r < rows; r++) {
            TileProducts.writeRow(sums, r * width, headDim, scale, dq, at + r * stride);
        }
    }

    // ---- forward

    /**
     * Goes over the tiles that some query of the block sees.
     *
     * @param first the mask's row of the first query
     */
    void attend(BlockMask mask, int first) {
        int end = endOfKeys(mask, first);
        for (int key = startOfKeys(mask, first, end); key < end; key += TILE) {
            if (look(mask, first, key)) {
                product(queryQuads, keysAcross, key, scores);
                cap();
                hide(mask, first, key, scores, NONE);
                findLargest();
                exponentials();
                for (int panel = 0; panel < width; panel += PANEL) {
                    addRows(scores, valuesDown, panel * keys + key * PANEL, panel);
                }
            }
        }
    }

    private void cap() {
        for (int r = 0; softcap != 0 && r < rows; r++) {
            if (high[r] > low[r]) {
                FastTanh.cap(scores, r * TILE, high(r), softcap);
            }
        }
    }

    /** The larger of each row's largest score, and the factor of what was summed below it. */
    private void findLargest() {
        for (int r = 0; r < rows; r++) {
            float had = largest[r];
            if (high[r] > low[r]) {
                largest[r] = Math.max(had, max(scores, r * TILE, high(r), had));
            }
            // with nothing seen so far there is nothing to shrink
            shrink[r] = had == largest[r] ? 0 : had - largest[r];
        }
        for (int i = 0; i < TILE; i += LANES) {
            FastExp.of(FloatVector.fromArray(FLOATS, shrink, i)).intoArray(shrink, i);
        }
    }

    private static float max(float[] x, int from, int length, float least) {
        FloatVector maxima = FloatVector.broadcast(FLOATS, least);
        for (int i = 0; i < length; i += LANES) {
            FloatVector v = FloatVector.fromArray(FLOATS, x, from + i);
            maxima = maxima.blend(v, v.compare(VectorOperators.GT, maxima));
        }
        return maxima.reduceLanes(VectorOperators.MAX);
    }

    private void exponentials() {
        for (int r = 0; r < rows; r++) {
            if (high[r] <= low[r] || largest[r] == NONE) {
                Arrays.fill(scores, r * TILE, (r + 1) * TILE, 0);
                continue;
            }
            if (shrink[r] != 1) {
                total[r] *= shrink[r];
                multiply(sums, r * width, width, shrink[r]);
            }
            total[r] += exponentials(scores, r * TILE, high(r), largest[r]);
        }
    }

    private static void multiply(float[] x, int from, int length, float factor) {
        for (int i = from; i < from + length; i += LANES) {
            FloatVector.fromArray(FLOATS, x, i).mul(factor).intoArray(x, i);
        }
    }

    /** Turns each x into {@code exp(x - largest)} and returns their sum. */
    private static float exponentials(float[] x, int from, int length, float largest) {
        FloatVector added = FloatVector.zero(FLOATS);
        for (int i = from; i < from + length; i += LANES) {
            FloatVector y = FastExp.of(FloatVector.fromArray(FLOATS, x, i).sub(largest));
            y.intoArray(x, i);
            added = added.add(y);
        }
        return FloatMemory.sum(added);
    }

    // ---- backward

    /** As {@link #attend}, with the probabilities made again from the sums of the forward pass. */
    void differentiate(BlockMask mask, int first) {
        int end = endOfKeys(mask, first);
        for (int key = startOfKeys(mask, first, end); key < end; key += TILE) {
            if (look(mask, first, key)) {
                product(queryQuads, keysAcross, key, scores);
                product(dOutQuads, valuesAcross, key, dScores);
                cap();
                hide(mask, first, key, scores, NONE);
                hide(mask, first, key, dScores, 0);
                for (int r = 0; r < rows; r++) {
                    gradient(r);
                }
                int quads = Math.min(TILE, keys - key);
                for (int quad = 0; quad < quads; quad += QUAD) {
                    addToKeys(quad, key);
                }
                for (int panel = 0; panel < width; panel += PANEL) {
                    addRows(dScores, keysDown, panel * keys + key * PANEL, panel);
                }
            }
        }
    }

    private void gradient(int r) {
        int seen = high[r] > low[r] ? high(r) : 0;
        if (softcap == 0) {
            gradient(scores, dScores, r * TILE, seen, logSum[r], dots[r]);
        } else {
            cappedGradient(scores, dScores, r * TILE, seen, logSum[r], dots[r], 1 / softcap);
        }
        Arrays.fill(scores, r * TILE + seen, (r + 1) * TILE, 0);
        Arrays.fill(dScores, r * TILE + seen, (r + 1) * TILE, 0);
    }

    /** Turns scores into probabilities p, and their gradient dp into {@code p * (dp - dot)}. */
    private static void gradient(
            float[] scores, float[] dp, int from, int length, float logSum, float dot) {
        for (int i = from; i < from + length; i += LANES) {
            FloatVector p = FastExp.of(FloatVector.fromArray(FLOATS, scores, i).sub(logSum));
            p.intoArray(scores, i);
            FloatVector.fromArray(FLOATS, dp, i).sub(dot).mul(p).intoArray(dp, i);
        }
    }

    /** As {@link #gradient(float[], float[], int, int, float, float)}, times the cap's slope. */
    private static void cappedGradient(
            float[] scores,
            float[] dp,
            int from,
            int length,
            float logSum,
            float dot,
            float inverseCap) {
        for (int i = from; i < from + length; i += LANES) {
            FloatVector score = FloatVector.fromArray(FLOATS, scores, i);
            FloatVector p = FastExp.of(score.sub(logSum));
            p.intoArray(scores, i);
            FloatVector tanh = score.mul(inverseCap);
            FloatVector slope = tanh.mul(tanh).neg().add(1f);
            FloatVector seen = FloatVector.fromArray(FLOATS, dp, i).sub(dot).mul(p).mul(slope);
            // a hidden score is infinite, and so would its slope be
            seen.blend(0f, p.compare(VectorOperators.EQ, 0f)).intoArray(dp, i);
        }
    }

    /** Adds to the gradients of four keys and values what the rows that see them give. */
    private void addToKeys(int quad, int key) {
        int from = 0;
        int to = rows;
        if (!whole) {
            while (from < to && !sees(from, quad)) {
                from++;
            }
            while (to > from && !sees(to - 1, quad)) {
                to--;
            }
        }
        for (int panel = 0; panel < width; panel += PANEL) {
            int b = panel * TILE + from * PANEL;
            int c = (key + quad) * width + panel;
            int a = from * TILE + quad;
            TileProducts.addColumns(scores, a, dOutPanels, b, to - from, dValues, c, width);
            TileProducts.addColumns(dScores, a, queryPanels, b, to - from, dKeys, c, width);
        }
    }

    private boolean sees(int r, int quad) {
        return low[r] < quad + QUAD && high[r] > quad;
    }

    // ---- both

    /** One past the last key that some query of the block sees. */
    private int endOfKeys(BlockMask mask, int first) {
        int end = 0;
        for (int r = first; r < first + rows; r++) {
            end = mask.end(r) > mask.first(r) ? Math.max(end, mask.end(r)) : end;
        }
        return end;
    }

    /** The first of them, at the beginning of its tile. */
    private int startOfKeys(BlockMask mask, int first, int end) {
        int start = end;
        for (int r = first; r < first + rows; r++) {
            start = mask.end(r) > mask.first(r) ? Math.min(start, mask.first(r)) : start;
        }
        return start / TILE * TILE;
    }

    /**
     * Notes which keys of a tile each row sees.
     *
     * @return whether any is seen
     */
    private boolean look(BlockMask mask, int first, int key) {
        whole = rows == TILE && key + TILE <= keys && mask.runs();
        boolean any = false;
        for (int quad = 0; quad < TILE / QUAD; quad++) {
            quadLow[quad] = TILE;
            quadHigh[quad] = 0;
            for (int r = quad * QUAD; r < (quad + 1) * QUAD; r++) {
                low[r] = r < rows ? Math.max(0, mask.first(first + r) - key) : TILE;
                high[r] = r < rows ? Math.min(TILE, mask.end(first + r) - key) : 0;
                whole &= low[r] == 0 && high[r] == TILE;
                if (high[r] > low[r]) {
                    quadLow[quad] = Math.min(quadLow[quad], low[r]);
                    quadHigh[quad] = Math.max(quadHigh[quad], high[r]);
                    any = true;
                }
            }
        }
        return any;
    }

    /** The end of what a row sees of the tile, in whole vectors, as its four rows have it. */
    private int high(int r) {
        return (quadHigh[r / QUAD] + LANES - 1) / LANES * LANES;
    }

    /** A tile of {@code a · bᵀ}, as far as it is seen; what else is in {@code into} is garbage. */
    private void product(float[] quads, float[] across, int key, float[] into) {
        for (int panel = 0; panel < TILE; panel += PANEL) {
            int b = (key + panel) * headDim;
            for (int quad = 0; quad < TILE / QUAD; quad++) {
                if (quadHigh[quad] > panel && quadLow[quad] < panel + PANEL) {
                    int a = quad * QUAD * headDim;
                    int c = quad * QUAD * TILE + panel;
                    TileProducts.quads(quads, a, across, b, headDim, into, c, TILE);
                }
            }
        }
    }

    /** Adds a panel of {@code a · b} to the sums of the queries. */
    private void addRows(float[] a, float[] down, int at, int panel) {
        for (int quad = 0; quad < TILE / QUAD; quad++) {
            int from = quadLow[quad];
            int n = quadHigh[quad] - from;
            if (n > 0) {
                int r = quad * QUAD;
                TileProducts.addRows(
                        a,
                        r * TILE + from,
                        down,
                        at + from * PANEL,
                        n,
                        sums,
                        r * width + panel,
                        width);
            }
        }
    }

    /** Writes a value where a row does not see a key. */
    private void hide(BlockMask mask, int first, int key, float[] x, float value) {
        if (whole) {
            return;
        }
        for (int r = 0; r < rows; r++) {
            int at = r * TILE;
            int from = Math.min(low[r], TILE);
            int to = Math.max(high[r], from);
            Arrays.fill(x, at, at + from, value);
            Arrays.fill(x, at + to, at + TILE, value);
            for (int i = from; i < to && !mask.runs(); i++) {
                x[at + i] = mask.sees(first + r, key + i) ? x[at + i] : value;
            }
        }
    }
}
