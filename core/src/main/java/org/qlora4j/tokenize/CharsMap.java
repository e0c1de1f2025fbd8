package org.qlora4j.tokenize;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Base64;
import java.util.BitSet;
import java.util.Deque;
import org.qlora4j.error.FormatException;

/**
 * SentencePiece's {@code precompiled_charsmap}, checked before it is used: the size of a double
 * array in bytes, its units, then texts that end in NUL. The reader in Rust follows offsets without
 * looking where they lead, so every place that a text can lead to is visited here first.
 */
final class CharsMap {
    private final int[] units;
    private final byte[] texts;
    private final String where;
    private int longest = 1;

    private CharsMap(int[] units, byte[] texts, String where) {
        this.units = units;
        this.texts = texts;
        this.where = where;
    }

    /**
     * Checks one.
     *
     * @param where file and key, for messages
     * @return UTF-8 bytes of the longest text that stands for a character
     * @throws FormatException if it is damaged
     */
    static int check(String base64, String where) {
        byte[] bytes;
        try {
            bytes = Base64.getDecoder().decode(base64);
        } catch (IllegalArgumentException e) {
            throw new FormatException(where + " must be base64, got other characters", e);
        }
        ByteBuffer data = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        long size = bytes.length < 4 ? -1 : Integer.toUnsignedLong(data.getInt());
        long count = size / 4;
        if (count < 1 || count * 4 > data.remaining()) {
            throw FormatException.of(
                    "%s is damaged: its table has %d bytes, of %d that are there",
                    where, size, Math.max(0, bytes.length - 4));
        }
        int[] units = new int[(int) count];
        for (int i = 0; i < units.length; i++) {
            units[i] = data.getInt();
        }
        byte[] texts = new byte[data.remaining()];
        data.get(texts);
        try {
            StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(texts));
        } catch (CharacterCodingException e) {
            throw new FormatException(where + " is damaged: its texts are not UTF-8", e);
        }
        CharsMap map = new CharsMap(units, texts, where);
        map.visitAll();
        return map.longest;
    }

    /** Follows every byte from every place that can be reached. */
    private void visitAll() {
        BitSet seen = new BitSet(units.length);
        Deque<Integer> open = new ArrayDeque<>();
        enter(offset(units[0]), seen, open);
        while (!open.isEmpty()) {
            int base = open.pop();
            for (int label = 1; label < 256; label++) {
                int place = base ^ label;
                int unit = unit(place);
                if ((unit & (1 << 31 | 0xFF)) != label) {
                    continue;
                }
                int next = place ^ offset(unit);
                if ((unit >>> 8 & 1) == 1) {
                    text(unit(next) & Integer.MAX_VALUE);
                }
                enter(next, seen, open);
            }
        }
    }

    private void enter(int base, BitSet seen, Deque<Integer> open) {
        // A text that ends here reads no further, so that the place itself may lie outside.
        if (base < 0 || base >= 1 << 30) {
            throw damaged(base);
        }
        if (!seen.get(base)) {
            seen.set(base);
            open.push(base);
        }
    }

    private int unit(int place) {
        if (place < 0 || place >= units.length) {
            throw damaged(place);
        }
        return units[place];
    }

    private FormatException damaged(int place) {
        return FormatException.of(
                "%s is damaged: its table leads to place %d of %d", where, place, units.length);
    }

    private static int offset(int unit) {
        return (unit >>> 10) << ((unit & 1 << 9) >>> 6);
    }

    private void text(int start) {
        if (start > texts.length || (start < texts.length && (texts[start] & 0xC0) == 0x80)) {
            throw FormatException.of(
                    "%s is damaged: a text begins at byte %d of %d", where, start, texts.length);
        }
        int end = start;
        while (end < texts.length && texts[end] != 0) {
            end++;
        }
        longest = Math.max(longest, end - start);
    }
}
