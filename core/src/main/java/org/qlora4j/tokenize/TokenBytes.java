package org.qlora4j.tokenize;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The bytes that each token adds to a text. Tokens of byte-level vocabularies and of byte fallback
 * may be parts of characters.
 */
public final class TokenBytes {
    private static final char BROKEN = '\ufffd';

    private TokenBytes() {}

    /**
     * Bytes by id; null for control tokens and ids without a token. A token's text is what it adds
     * behind another, since some decoders strip a blank at the beginning.
     */
    public static byte[] @Nullable [] of(Tokenizer tokenizer) {
        byte[] @Nullable [] out = new byte[tokenizer.idLimit()][];
        Set<String> control = tokenizer.controlTokens();
        int[] before = tokenizer.encode("a");
        String known = tokenizer.decode(before, false);
        int[] ids = Arrays.copyOf(before, before.length + 1);
        for (int id = 0; id < out.length; id++) {
            String token = tokenizer.token(id).orElse(null);
            if (token == null || control.contains(token)) {
                continue;
            }
            ids[before.length] = id;
            String text = tokenizer.decode(ids, false);
            String added = text.startsWith(known) ? text.substring(known.length()) : text;
            out[id] =
                    added.indexOf(BROKEN) < 0
                            ? added.getBytes(StandardCharsets.UTF_8)
                            : spelled(token);
        }
        return out;
    }

    /** The bytes of a part of a character, by how the vocabulary spells it; null if it does not. */
    private static byte @Nullable [] spelled(String token) {
        if (token.matches("<0x[0-9A-Fa-f]{2}>")) {
            return new byte[] {(byte) Integer.parseInt(token.substring(3, 5), 16)};
        }
        byte[] out = new byte[token.length()];
        for (int i = 0; i < out.length; i++) {
            int b = byteOf(token.charAt(i));
            if (b < 0) {
                return null;
            }
            out[i] = (byte) b;
        }
        return out;
    }

    /**
     * The byte that a letter stands for in byte-level vocabularies (GPT-2's): printable ones for
     * themselves, the others in their order for the letters from 256 on. Negative for no byte.
     */
    private static int byteOf(char letter) {
        if (isPrintable(letter)) {
            return letter;
        }
        int wanted = letter - 256;
        for (int b = 0; b < 256 && wanted >= 0; b++) {
            if (!isPrintable(b) && wanted-- == 0) {
                return b;
            }
        }
        return -1;
    }

    private static boolean isPrintable(int b) {
        return (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
    }
}
