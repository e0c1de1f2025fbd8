package org.qlora4j.tokenize;

import java.text.Normalizer;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * What text one tokenizer takes, told by its {@code tokenizer.json}. Hugging Face's tokenizer runs
 * inside this process and can only end it where a text is too much, so each text is measured first.
 *
 * @param maxChars UTF-16 units of one text
 * @param growth bytes that normalizing may make of one byte
 * @param steps what normalizes and splits a text, for the patterns that need a trial
 * @param decoding patterns that decoded tokens go through
 * @param cuts whether a text may be encoded in pieces with the same result
 * @param keepsLetters whether each ASCII letter and digit of a text comes to the model, which
 *     merges them
 * @param spellsBytes whether a character without a token becomes a token a byte
 */
record TokenizerLimits(
        int maxChars,
        double growth,
        List<Step> steps,
        List<PatternGuard> decoding,
        boolean cuts,
        boolean keepsLetters,
        boolean spellsBytes) {
    /** Blanks or line feeds in a row; a search takes about two retries for each. */
    static final int MAX_BLANKS = 1_000_000;

    /** UTF-16 units of a text that is encoded at once: some hundred bytes of memory each. */
    static final int MAX_AT_ONCE = 4 << 20;

    /** UTF-16 units of a text that may be encoded in pieces. */
    static final int MAX_IN_PIECES = 64 << 20;

    /** UTF-8 bytes of a text once normalized. */
    private static final long MAX_NORMALIZED = 32L << 20;

    /** A normalizer or a split. */
    sealed interface Step {
        /** Replaces one text by another. */
        record Literal(String from, String to) implements Step {}

        /**
         * A pattern.
         *
         * @param content what replaces a match, null if the pattern splits
         */
        record Regex(PatternGuard pattern, @Nullable String content) implements Step {}

        /** One of Unicode's normal forms. */
        record Form(Normalizer.Form form) implements Step {}

        /** Lower case. */
        record Lower() implements Step {}
    }

    /**
     * Measures a text.
     *
     * @throws FormatException if it is too long, or too hard for the tokenizer's patterns
     */
    void check(String text) {
        int most = cuts ? MAX_IN_PIECES : maxChars;
        if (text.length() > most) {
            throw FormatException.of(
                    "a text of %d characters is too long for this tokenizer, which takes %d at most; split it",
                    text.length(), most);
        }
        if (text.length() > MAX_BLANKS) {
            int blanks = longestBlanks(text);
            if (blanks > MAX_BLANKS) {
                throw FormatException.of(
                        "a text has %d blanks or line feeds in a row, %d at most are tokenized; shorten the run",
                        blanks, MAX_BLANKS);
            }
        }
        if (growth > 1 && text.length() * 3L * growth > MAX_NORMALIZED) {
            long bytes = bytes(text);
            if (bytes * growth > MAX_NORMALIZED) {
                throw FormatException.of(
                        "a text of %d bytes is too long for this tokenizer, whose normalizer may make %.0f times as many of it; split it",
                        bytes, Math.ceil(growth));
            }
        }
        tryPatterns(text);
    }

    private void tryPatterns(String text) {
        boolean needed =
                steps.stream().anyMatch(s -> s instanceof Step.Regex r && !r.pattern.isKnown());
        if (!needed) {
            return;
        }
        String now = text;
        for (Step step : steps) {
            switch (step) {
                case Step.Literal(String from, String to) -> now = now.replace(from, to);
                case Step.Form(Normalizer.Form form) -> now = Normalizer.normalize(now, form);
                case Step.Lower() -> now = now.toLowerCase(Locale.ROOT);
                case Step.Regex(PatternGuard pattern, String content) -> {
                    if (!pattern.isKnown()) {
                        pattern.check(now);
                    }
                    if (content != null) {
                        now = pattern.replaced(now, content);
                    }
                }
            }
            if (now.length() > MAX_IN_PIECES) {
                throw FormatException.of(
                        "a text of %d characters is too long for this tokenizer's normalizer; split it",
                        text.length());
            }
        }
    }

    private static int longestBlanks(String text) {
        int longest = 0;
        int run = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            boolean blank = c <= ' ' || c == 0x85 || c == 0xA0 || Character.isWhitespace(c);
            run = blank || Character.isSpaceChar(c) ? run + 1 : 0;
            longest = Math.max(longest, run);
        }
        return longest;
    }

    /** UTF-8 bytes of a text. */
    static long bytes(String text) {
        long bytes = 0;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            // a pair of surrogates makes 4 bytes, 2 each
            bytes += c < 0x80 ? 1 : c < 0x800 || Character.isSurrogate(c) ? 2 : 3;
        }
        return bytes;
    }
}
