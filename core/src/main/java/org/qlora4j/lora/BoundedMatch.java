package org.qlora4j.lora;

import java.util.regex.Pattern;
import org.qlora4j.error.FormatException;

/** Matches a stranger's regular expression with a text, but not without end. */
final class BoundedMatch {
    /** Characters that a match may look at; module paths have some fifty. */
    private static final int MAX_LOOKS = 1_000_000;

    private BoundedMatch() {}

    /**
     * Whether the whole text matches.
     *
     * @throws FormatException if the search backtracks too long, or too deep for the stack
     */
    static boolean matches(String regex, String text) {
        try {
            return Pattern.compile(regex).matcher(new Counted(text)).matches();
        } catch (TooMuch | StackOverflowError e) {
            throw new FormatException(
                    "the regular expression %s searches too long in %s; write it without repeats inside repeats"
                            .formatted(regex, text),
                    e);
        }
    }

    private static final class TooMuch extends RuntimeException {
        private static final long serialVersionUID = 1L;

        TooMuch() {
            super(null, null, false, false);
        }
    }

    private static final class Counted implements CharSequence {
        private final String text;
        private int looks = 0;

        Counted(String text) {
            this.text = text;
        }

        @Override
        public char charAt(int index) {
            if (++looks > MAX_LOOKS) {
                throw new TooMuch();
            }
            return text.charAt(index);
        }

        @Override
        public int length() {
            return text.length();
        }

        @Override
        public CharSequence subSequence(int start, int end) {
            return text.substring(start, end);
        }

        @Override
        public String toString() {
            return text;
        }
    }
}
