package org.qlora4j.tokenize;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * Encodes a long text in pieces, where that gives the same ids: the tokenizer must split words as
 * GPT-2, Llama 3 or Qwen 2 do, and a piece ends only between an ASCII letter and a blank before an
 * ASCII letter, where all three begin a word. Memory then follows the piece, not the text.
 */
final class TextPieces {
    /** UTF-16 units of a piece, about. */
    static final int LENGTH = 1 << 18;

    private final NativeTokenizer tokenizer;
    private final TokenizerLimits limits;
    private final int length;
    private int @Nullable [][] around;

    TextPieces(NativeTokenizer tokenizer, TokenizerLimits limits, int length) {
        this.tokenizer = tokenizer;
        this.limits = limits;
        this.length = length;
    }

    /** Ids of a text that {@link TokenizerLimits#check} has passed. */
    int[] encode(String text, boolean addSpecialTokens) {
        if (!limits.cuts() || text.length() <= length) {
            return whole(text, addSpecialTokens);
        }
        int[][] edges = addSpecialTokens ? around() : new int[][] {{}, {}};
        List<int[]> parts = new ArrayList<>(List.of(edges[0]));
        int at = 0;
        while (at < text.length()) {
            int end = cut(text, Math.min(text.length(), at + length));
            if (end - at > limits.maxChars()) {
                throw FormatException.of(
                        "a text has %d characters without a blank between two words, %d at most are tokenized; split it",
                        end - at, limits.maxChars());
            }
            parts.add(whole(text.substring(at, end), false));
            at = end;
        }
        parts.add(edges[1]);
        int[] ids = new int[parts.stream().mapToInt(part -> part.length).sum()];
        int filled = 0;
        for (int[] part : parts) {
            System.arraycopy(part, 0, ids, filled, part.length);
            filled += part.length;
        }
        return ids;
    }

    private static int cut(String text, int from) {
        for (int i = from; i + 1 < text.length(); i++) {
            if (text.charAt(i) == ' ' && letter(text.charAt(i - 1)) && letter(text.charAt(i + 1))) {
                return i;
            }
        }
        return text.length();
    }

    private static boolean letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    }

    private int[] whole(String text, boolean addSpecialTokens) {
        double tokens = (TokenizerLimits.bytes(text) + 256) * limits.growth() + 2000;
        return tokenizer.encode(text, addSpecialTokens, (long) Math.min(tokens, 1 << 27));
    }

    /** What the tokenizer puts before and behind a text. */
    private synchronized int[][] around() {
        if (around == null) {
            int[] bare = whole("a", false);
            int[] dressed = whole("a", true);
            int start = 0;
            while (!Arrays.equals(bare, Arrays.copyOfRange(dressed, start, start + bare.length))) {
                start++;
            }
            around =
                    new int[][] {
                        Arrays.copyOf(dressed, start),
                        Arrays.copyOfRange(dressed, start + bare.length, dressed.length)
                    };
        }
        return around;
    }
}
