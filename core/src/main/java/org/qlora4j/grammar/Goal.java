package org.qlora4j.grammar;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What must come in a text, byte by byte; those begun say how far they are. */
sealed interface Goal {
    /**
     * Certain bytes.
     *
     * @param bytes a char each
     * @param at how many have come
     */
    record Literal(String bytes, int at) implements Goal {}

    /** Blanks and line ends, at most so many. */
    record Blanks(int left) implements Goal {
        static boolean isOne(int b) {
            return b == ' ' || b == '\n' || b == '\t' || b == '\r';
        }
    }

    /** One of several sequences; equal to itself alone, since rules may hold themselves. */
    final class Rule implements Goal {
        final List<List<Goal>> alternatives = new ArrayList<>();

        Rule or(Goal... sequence) {
            alternatives.add(List.of(sequence));
            return this;
        }
    }

    /**
     * A number of JSON, of at most {@value #DIGITS} digits before and behind its point.
     *
     * @param digits of the part that is begun
     */
    record Number(Part part, int digits, boolean integer) implements Goal {
        private static final int DIGITS = 18;

        /** What has come last. */
        enum Part {
            NOTHING,
            MINUS,
            ZERO,
            WHOLE,
            POINT,
            FRACTION,
            E,
            SIGN,
            EXPONENT
        }

        boolean mayEnd() {
            return switch (part) {
                case ZERO, WHOLE, FRACTION, EXPONENT -> true;
                case NOTHING, MINUS, POINT, E, SIGN -> false;
            };
        }

        /** The number with one more byte; null if it cannot have it. */
        @Nullable Number with(int b) {
            if (b >= '0' && b <= '9') {
                return withDigit(b);
            }
            return switch (part) {
                case NOTHING -> b == '-' ? in(Part.MINUS, 0) : null;
                case ZERO, WHOLE -> integer ? null : b == '.' ? in(Part.POINT, 0) : exponent(b);
                case FRACTION -> exponent(b);
                case E -> b == '-' || b == '+' ? in(Part.SIGN, 0) : null;
                case MINUS, POINT, SIGN, EXPONENT -> null;
            };
        }

        private @Nullable Number withDigit(int b) {
            return switch (part) {
                case NOTHING, MINUS -> in(b == '0' ? Part.ZERO : Part.WHOLE, 1);
                case ZERO -> null;
                case WHOLE -> digits < DIGITS ? in(Part.WHOLE, digits + 1) : null;
                case POINT -> in(Part.FRACTION, 1);
                case FRACTION -> digits < DIGITS ? in(Part.FRACTION, digits + 1) : null;
                case E, SIGN -> in(Part.EXPONENT, 1);
                case EXPONENT -> digits < 2 ? in(Part.EXPONENT, digits + 1) : null;
            };
        }

        private @Nullable Number exponent(int b) {
            return b == 'e' || b == 'E' ? in(Part.E, 0) : null;
        }

        private Number in(Part next, int newDigits) {
            return new Number(next, newDigits, integer);
        }
    }

    /**
     * The inside of a string of JSON and its closing quote, in UTF-8.
     *
     * @param length characters so far; counted up to what matters
     * @param least characters
     * @param most characters; {@link #ENDLESS} for no bound
     */
    record Inside(Part part, int length, int least, int most) implements Goal {
        static final int ENDLESS = Integer.MAX_VALUE;

        /** Where in a character the text is. */
        enum Part {
            BETWEEN,
            BACKSLASH,
            HEX_4,
            HEX_3,
            HEX_3_LOW, // behind a d, where 8 to f would make half a character
            HEX_2,
            HEX_1,
            MORE_1, // so many further bytes
            MORE_2,
            MORE_3,
            AFTER_E0,
            AFTER_ED,
            AFTER_F0,
            AFTER_F4
        }

        /** Whether a whole character of no special meaning may come, and changes nothing else. */
        boolean takesPlain() {
            return part == Part.BETWEEN && most == ENDLESS;
        }

        boolean closes(int b) {
            return part == Part.BETWEEN && b == '"' && length >= least;
        }

        /** The text with one more byte; null if it cannot have it. */
        @Nullable Inside with(int b) {
            return switch (part) {
                case BETWEEN -> begun(b);
                case BACKSLASH ->
                        b == 'u' ? in(Part.HEX_4) : "\"\\/bfnrt".indexOf(b) >= 0 ? whole() : null;
                case HEX_4 -> {
                    boolean d = b == 'd' || b == 'D';
                    yield hex(b) ? in(d ? Part.HEX_3_LOW : Part.HEX_3) : null;
                }
                case HEX_3_LOW -> b >= '0' && b <= '7' ? in(Part.HEX_2) : null;
                case HEX_3 -> hex(b) ? in(Part.HEX_2) : null;
                case HEX_2 -> hex(b) ? in(Part.HEX_1) : null;
                case HEX_1 -> hex(b) ? whole() : null;
                case MORE_1 -> within(b, 0x80, 0xbf) ? whole() : null;
                case MORE_2 -> within(b, 0x80, 0xbf) ? in(Part.MORE_1) : null;
                case MORE_3 -> within(b, 0x80, 0xbf) ? in(Part.MORE_2) : null;
                case AFTER_E0 -> within(b, 0xa0, 0xbf) ? in(Part.MORE_1) : null;
                case AFTER_ED -> within(b, 0x80, 0x9f) ? in(Part.MORE_1) : null;
                case AFTER_F0 -> within(b, 0x90, 0xbf) ? in(Part.MORE_2) : null;
                case AFTER_F4 -> within(b, 0x80, 0x8f) ? in(Part.MORE_2) : null;
            };
        }

        private @Nullable Inside begun(int b) {
            if (length >= most || b < 0x20 || b == '"') {
                return null;
            }
            if (b < 0x80) {
                return b == '\\' ? in(Part.BACKSLASH) : whole();
            }
            return switch (b) {
                case 0xe0 -> in(Part.AFTER_E0);
                case 0xed -> in(Part.AFTER_ED);
                case 0xf0 -> in(Part.AFTER_F0);
                case 0xf4 -> in(Part.AFTER_F4);
                default ->
                        within(b, 0xc2, 0xdf)
                                ? in(Part.MORE_1)
                                : within(b, 0xe1, 0xef)
                                        ? in(Part.MORE_2)
                                        : within(b, 0xf1, 0xf3) ? in(Part.MORE_3) : null;
            };
        }

        private static boolean within(int b, int low, int high) {
            return b >= low && b <= high;
        }

        private static boolean hex(int b) {
            return b < 0x80 && Character.digit(b, 16) >= 0;
        }

        private Inside in(Part next) {
            return new Inside(next, length, least, most);
        }

        private Inside whole() {
            boolean counted = most != ENDLESS || length < least;
            return new Inside(Part.BETWEEN, counted ? length + 1 : length, least, most);
        }
    }
}
