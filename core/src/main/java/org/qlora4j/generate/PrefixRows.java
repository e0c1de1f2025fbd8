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

    /** Positions that a row holds of a text that has ended; 0 if it holds none. */
    int positions(int row) {
        Held held = rows[row];
        return held == null ? 0 : held.ids.length;
    }

    void exchange(int one, int other) {
        Held held = rows[one];
        rows[one] = rows[other];
        rows[other] = held;
    }

    /** The row that holds most of a prompt, all but its last token at most; null if none does. */
    @Nullable Found longest(Decoding.Request request) {
        Found best = null;
        for (int row = 0; row < rows.length; row++) {
            int same = same(rows[row], request);
            if (same >= LEAST && (best == null || same > best.positions())) {
                best = new Found(row, same);
            }
        }
        return best;
    }

    private static int same(@Nullable Held held, Decoding.Request request) {
        if (held == null || held.adapter != request.adapter()) {
            return 0;
        }
        int[] prompt = request.prompt();
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
            int same = same(held, request);
            long rank = same >= LEAST ? 1L + same : held == null ? 0 : -1 - held.since;
            if (chosen < 0 || rank > bestRank) {
                chosen = row;
                bestRank = rank;
            }
        }
        return chosen;
    }
}
