package org.qlora4j.tokenize;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;

/**
 * How each token of a tokenizer is written in the tokens of another. That other knows only the
 * first of its merges, as {@link TokenizerCut} makes it. The same tokenizer twice is the simplest
 * case: each token is itself.
 *
 * <p>BPE applies the merge of lowest rank first, so the whole tokenizer passes through the state in
 * which the cut one stops, and only joins tokens from there on. Joining never crosses the border of
 * a token of the whole; therefore its pieces are the same in every text.
 */
public final class TokenRefinement {
    private final int[][] pieces;

    private TokenRefinement(int[][] pieces) {
        this.pieces = pieces;
    }

    /**
     * Compares two tokenizers.
     *
     * @param whole folder with the {@code tokenizer.json} of the larger one
     * @param cut folder with that of the smaller one
     * @throws FormatException if a token of the whole cannot be written in tokens of the cut
     */
    public static TokenRefinement of(Path whole, Path cut) {
        TokenizerSource one = TokenizerSource.of(whole);
        TokenizerSource other = TokenizerSource.of(cut);
        Vocabulary large = one.vocabulary();
        Vocabulary small = other.vocabulary();
        Map<String, Integer> ranks = ranks(other);
        int[][] pieces = new int[large.largestId() + 1][];
        for (int id = 0; id < pieces.length; id++) {
            String token = large.token(id);
            if (token != null) {
                pieces[id] = write(token, small, ranks);
                if (pieces[id] == null) {
                    throw FormatException.of(
                            "%s cannot write the token %s of %s; the larger tokenizer must be the one it was cut from",
                            other.file(), token, one.file());
                }
            }
        }
        return new TokenRefinement(pieces);
    }

    /** Number of ids of the whole tokenizer, gaps included. */
    public int size() {
        return pieces.length;
    }

    /** Tokens of the cut that write a token of the whole; not to be changed. Empty for a gap. */
    public int[] pieces(int id) {
        return pieces[id] == null ? new int[0] : pieces[id];
    }

    /** The tokens of the cut that write a text, from those of the whole. */
    public int[] refine(int[] ids) {
        List<Integer> out = new ArrayList<>();
        for (int id : ids) {
            for (int piece : pieces(id)) {
                out.add(piece);
            }
        }
        return out.stream().mapToInt(Integer::intValue).toArray();
    }

    /** Rank of each merge, by its two sides with a blank between. */
    private static Map<String, Integer> ranks(TokenizerSource source) {
        Map<String, Integer> ranks = new HashMap<>();
        for (JsonNode merge : source.object().path("model").path("merges")) {
            String pair =
                    merge.isArray()
                            ? merge.path(0).asString("") + " " + merge.path(1).asString("")
                            : merge.asString("");
            ranks.putIfAbsent(pair, ranks.size());
        }
        return ranks;
    }

    /** BPE on one token; null if a letter of it is no token. */
    private static int @Nullable [] write(
            String token, Vocabulary small, Map<String, Integer> ranks) {
        Integer same = small.id(token);
        if (same != null) { // a token that is known has no finer way to be written
            return new int[] {same};
        }
        List<String> parts = new ArrayList<>();
        token.codePoints().forEach(letter -> parts.add(Character.toString(letter)));
        while (true) {
            int best = Integer.MAX_VALUE;
            int at = -1;
            for (int i = 0; i + 1 < parts.size(); i++) {
                Integer rank = ranks.get(parts.get(i) + " " + parts.get(i + 1));
                if (rank != null && rank < best) {
                    best = rank;
                    at = i;
                }
            }
            if (at < 0) {
                break;
            }
            parts.set(at, parts.get(at) + parts.remove(at + 1));
        }
        int[] out = new int[parts.size()];
        for (int i = 0; i < out.length; i++) {
            Integer id = small.id(parts.get(i));
            if (id == null) {
                return null;
            }
            out[i] = id;
        }
        return out;
    }
}
