package org.qlora4j.tokenize;

import java.util.Arrays;

/**
 * Text of ids that arrive one by one. A character may be spread over several tokens: its text comes
 * with the id that completes it. All returned pieces together are the text that decoding all ids at
 * once gives. Not thread-safe.
 */
public final class TokenStream {
    /**
     * A character has four bytes at most; ids that make none after so many are broken text, and
     * shown as such.
     */
    private static final int MAX_PENDING = 8;

    private final Tokenizer tokenizer;
    private final boolean skipSpecialTokens;
    private int[] ids = new int[16];
    private int size = 0;

    /**
     * {@code ids[0, shown)} are printed, and kept because the text of the next ones depends on
     * them.
     */
    private int shown = 0;

    TokenStream(Tokenizer tokenizer, boolean skipSpecialTokens) {
        this.tokenizer = tokenizer;
        this.skipSpecialTokens = skipSpecialTokens;
    }

    /** Takes one id and returns the text that is complete now; often empty. */
    public String push(int id) {
        if (size == ids.length) {
            ids = Arrays.copyOf(ids, 2 * size);
        }
        ids[size++] = id;
        String before = decode(shown);
        String all = decode(size);
        boolean complete = all.length() > before.length() && !all.endsWith("\ufffd");
        return complete || size - shown > MAX_PENDING ? show(before, all) : "";
    }

    /**
     * Ends the text: returns what was held back, with U+FFFD for half a character. The stream
     * starts afresh.
     */
    public String finish() {
        String rest = show(decode(shown), decode(size));
        size = 0;
        shown = 0;
        return rest;
    }

    private String show(String before, String all) {
        System.arraycopy(
                ids, shown, ids, 0, size - shown); // what was printed now is the next one's context
        size -= shown;
        shown = size;
        return all.substring(Math.min(before.length(), all.length()));
    }

    private String decode(int count) {
        return count == 0 ? "" : tokenizer.decode(Arrays.copyOf(ids, count), skipSpecialTokens);
    }
}
