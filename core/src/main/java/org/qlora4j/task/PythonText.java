package org.qlora4j.task;

/** White space as Python's {@code str} sees it. */
final class PythonText {
    private PythonText() {}

    static boolean isSpace(int c) {
        return Character.isWhitespace(c)
                || Character.isSpaceChar(c)
                || c == 0x85; // next line, which Java does not count
    }

    /** {@code str.strip()}. */
    static String strip(String text) {
        int from = 0;
        int to = text.length();
        while (from < to && isSpace(text.charAt(from))) {
            from++;
        }
        while (to > from && isSpace(text.charAt(to - 1))) {
            to--;
        }
        return text.substring(from, to);
    }

    /** Characters of white space at the end. */
    static int trailingSpaces(String text) {
        int to = text.length();
        while (to > 0 && isSpace(text.charAt(to - 1))) {
            to--;
        }
        return text.length() - to;
    }

    /** {@code str.isdigit()}. */
    static boolean isDigits(String text) {
        return !text.isEmpty() && text.chars().allMatch(Character::isDigit);
    }

    /** {@code len(text)}: characters, not units of UTF-16. */
    static int length(String text) {
        return text.codePointCount(0, text.length());
    }
}
