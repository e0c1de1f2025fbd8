package org.qlora4j.generate;

import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;
import org.qlora4j.lora.LoraAdapter;

/**
 * Remembers what rows of a cache still hold of texts that have ended. A prompt that begins alike
 * need not be read again (automatic prefix caching, as vLLM names it).
 */
final class PrefixRows {
    /** Positions below which a copy is not worth its while. */
    private static final int LEAST = 16;

    private final @Nullable Held[] rows;
    private long clock;

    /** The ids that keys and values are of, and who computed them. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Held(int[] ids, @Nullable LoraAdapter adapter, long since) {}

    /** A row that holds so many first positions of a prompt. */
    record Found(int row, int positions) {}

    PrefixRows(int rows) {
        this.rows = new @Nullable Held[rows];
    }

    /** Says what a row holds. */
    void put(int row, int[] ids, @Nullable LoraAdapter adapter) {
        rows[row] = new Held(ids, adapter, clock++);
    }

    void forget(int row) {
        rows[row] = null;
    }

    /** Whether a row holds the beginning of a text that has ended. */
    boolean holds(int row) {
        return rows[row] != null;
    }

    void exchange(int one, int other) {
        Held held = rows[one];
        rows[one] = rows[other];
        rows[other] = held;
    }

    /** Says that a row's beginning was of use again. */
    void touch(int row) {
        Held held = rows[row];
        if (held != null) {
            put(row, held.ids, held.adapter);
        }
    }

    /** The row that has been of no use for longest, of those that may be freed; -1 if none may. */
    int oldest(IntPredicate free) {
        int oldest = -1;
        long since = Long.MAX_VALUE;
        for (int row = 0; row < rows.length; row++) {
            Held held = rows[row];
            if (held != null && held.since < since && free.test(row)) {
                oldest = row;
                since = held.since;
            }
        }
        return oldest;
    }

    /** Whether an adapter computed what a row holds. */
    boolean isOf(int row, LoraAdapter adapter) {
        Held held = rows[row];
        return held != null && held.adapter == adapter;
    }

    /**
     * The row that holds most of a text, all but its last token at most; null if none does.
     *
     * @param ids of the text
     * @param adapter that computes it
     */
    @Nullable Found longest(int[] ids, @Nullable LoraAdapter adapter) {
        Found best = null;
        for (int row = 0; row < rows.length; row++) {
            int same = same(rows[row], ids, adapter);
            if (same >= LEAST && (best == null || same > best.positions())) {
                best = new Found(row, same);
            }
        }
        return best;
    }

    private static int same(@Nullable Held held, int[] prompt, @Nullable LoraAdapter adapter) {
        if (held == null || held.adapter != adapter) {
            return 0;
        }
        int most = Math.min(held.ids.length, prompt.length - 1);
        int same = 0;
        while (same < most && held.ids[same] == prompt[same]) {
            same++;
        }
        return same;
    }

    /**
     * A free row for a text: the one that holds most of its prompt, else one that holds nothing,
     * else that which was held longest.
     */
    int choose(Decoding.Request request, IntPredicate free) {
        int chosen = -1;
        long bestRank = Long.MIN_VALUE;
        for (int row = 0; row < rows.length; row++) {
            if (!free.test(row)) {
                continue;
            }
            Held held = rows[row];
            int same = same(held, request.prompt(), request.adapter());
            long rank = same >= LEAST ? 1L + same : held == null ? 0 : -1 - held.since;
            if (chosen < 0 || rank > bestRank) {
                chosen = row;
                bestRank = rank;
            }
        }
        return chosen;
    }
}
