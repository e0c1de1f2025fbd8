package org.qlora4j.grammar;

import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The tokens of a model by their bytes, and which of them may follow a text of some form. What was
 * worked out for a state is kept for the texts that reach it again. For many threads.
 */
public final class TokenVocabulary {
    private static final int STATES = 256;

    private final byte[] @Nullable [] bytes;
    private final BitSet plain = new BitSet(); // whole characters without special meaning in JSON
    private final TokenTrie all;
    private final TokenTrie special; // those that are not plain
    private final Map<GrammarState, BitSet> known =
            new LinkedHashMap<>(64, 0.75f, true) {
                @Override
                protected boolean removeEldestEntry(Map.Entry<GrammarState, BitSet> eldest) {
                    return size() > STATES;
                }
            };

    /**
     * @param bytes by id; null for a token that is no text
     */
    public TokenVocabulary(byte[] @Nullable [] bytes) {
        this.bytes = bytes;
        this.all = new TokenTrie(bytes.length);
        this.special = new TokenTrie(bytes.length);
        for (int id = 0; id < bytes.length; id++) {
            byte[] own = bytes[id];
            if (own == null || own.length == 0) {
                continue;
            }
            all.add(id, own);
            if (isPlain(own)) {
                plain.set(id);
            } else {
                special.add(id, own);
            }
        }
    }

    private static boolean isPlain(byte[] token) {
        Goal.Inside inside = new Goal.Inside(Goal.Inside.Part.BETWEEN, 0, 0, Goal.Inside.ENDLESS);
        for (byte b : token) {
            inside = b == '\\' ? null : inside.with(b & 0xff);
            if (inside == null) {
                return false;
            }
        }
        return inside.takesPlain();
    }

    /** What a new text of a form may take. */
    public TokenMask mask(JsonGrammar grammar) {
        return new TokenMask(this, grammar.start());
    }

    /** Tokens that may come; not to be changed. */
    synchronized BitSet allowed(GrammarState state) {
        return known.computeIfAbsent(
                state,
                s -> {
                    BitSet out = new BitSet(bytes.length);
                    if (s.takesPlain()) {
                        out.or(plain);
                        special.collect(s, out);
                    } else {
                        all.collect(s, out);
                    }
                    return out;
                });
    }

    /** The state behind a token. */
    GrammarState after(GrammarState state, int id) {
        byte[] own = id < bytes.length ? bytes[id] : null;
        GrammarState out = state;
        for (byte b : own == null ? new byte[0] : own) {
            out = out.with(b & 0xff);
        }
        return out;
    }
}
