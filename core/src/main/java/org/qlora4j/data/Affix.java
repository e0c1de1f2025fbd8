package org.qlora4j.data;

import java.util.Arrays;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.qlora4j.tokenize.Tokenizer;

/**
 * A special token beside text. It is written into the text where the tokenizer knows it there,
 * because that can change how the text is cut (SentencePiece puts a space before the first word of
 * a text, but not of one that follows a token); else its id is joined on.
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record Affix(String text, int[] ids) {
    private static final Affix NONE = new Affix("", new int[0]);

    static Affix of(OptionalInt id, Tokenizer tokenizer) {
        return id.isPresent() ? of(id.getAsInt(), tokenizer) : NONE;
    }

    static Affix of(int id, Tokenizer tokenizer) {
        String written = tokenizer.decode(new int[] {id}, false);
        boolean known = Arrays.equals(tokenizer.encode(written), new int[] {id});
        return known ? new Affix(written, new int[0]) : new Affix("", new int[] {id});
    }

    /** Nothing where a text begins with the token already, else this. */
    Affix unlessBegins(String given) {
        return !text.isEmpty() && given.startsWith(text) ? NONE : this;
    }

    /** Nothing where a text ends in the token already, but for white space, else this. */
    Affix unlessEnds(String given) {
        return !text.isEmpty() && given.stripTrailing().endsWith(text) ? NONE : this;
    }

    /** A text without this token around it, however often it stands there. */
    String off(String given) {
        String left = given;
        while (!text.isEmpty() && left.startsWith(text)) {
            left = left.substring(text.length());
        }
        while (!text.isEmpty() && left.stripTrailing().endsWith(text)) {
            left = left.stripTrailing();
            left = left.substring(0, left.length() - text.length());
        }
        return left;
    }

    static int[] concat(int[] a, int[] b) {
        return IntStream.concat(Arrays.stream(a), Arrays.stream(b)).toArray();
    }
}
