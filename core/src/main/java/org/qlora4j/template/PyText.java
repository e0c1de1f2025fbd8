package org.qlora4j.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * What Python's str does on plain text. Python counts code points where Java counts UTF-16 units.
 */
final class PyText {
    private PyText() {}

    /** Space as {@code str.isspace} and {@code strip} see it. */
    static boolean isSpace(int c) {
        return (c >= 9 && c <= 13)
                || (c >= 28 && c <= 32)
                || c == 0x85
                || c == 0xa0
                || c == 0x1680
                || (c >= 0x2000 && c <= 0x200a)
                || c == 0x2028
                || c == 0x2029
                || c == 0x202f
                || c == 0x205f
                || c == 0x3000;
    }

    /** Whether {@code repr} prints the character as it is. */
    static boolean isPrintable(int c) {
        return switch (Character.getType(c)) {
            case Character.CONTROL,
                    Character.FORMAT,
                    Character.SURROGATE,
                    Character.PRIVATE_USE,
                    Character.UNASSIGNED,
                    Character.LINE_SEPARATOR,
                    Character.PARAGRAPH_SEPARATOR ->
                    false;
            case Character.SPACE_SEPARATOR -> c == ' ';
            default -> true;
        };
    }

    static int length(String text) {
        return text.codePointCount(0, text.length());
    }

    /** Without the given characters, or space, at both ends. */
    static String strip(String text, @Nullable String characters) {
        return stripLeft(stripRight(text, characters), characters);
    }

    static String stripLeft(String text, @Nullable String characters) {
        int start = 0;
        while (start < text.length() && strips(text.codePointAt(start), characters)) {
            start += Character.charCount(text.codePointAt(start));
        }
        return text.substring(start);
    }

    static String stripRight(String text, @Nullable String characters) {
        int end = text.length();
        while (end > 0 && strips(text.codePointBefore(end), characters)) {
            end -= Character.charCount(text.codePointBefore(end));
        }
        return text.substring(0, end);
    }

    private static boolean strips(int c, @Nullable String characters) {
        return characters == null ? isSpace(c) : characters.indexOf(c) >= 0;
    }

    /** Order by code points, which differs from Java's beyond U+FFFF. */
    static int compare(String left, String right) {
        int shared = Math.min(left.length(), right.length());
        for (int i = 0; i < shared; i++) {
            char l = left.charAt(i);
            char r = right.charAt(i);
            if (l != r) {
                boolean beyond = Character.isSurrogate(l) != Character.isSurrogate(r);
                return beyond ? (Character.isSurrogate(l) ? 1 : -1) : Character.compare(l, r);
            }
        }
        return Integer.compare(left.length(), right.length());
    }

    /** Lines without their ends, or with them. */
    static List<String> splitLines(String text, boolean keepEnds) {
        List<String> lines = new ArrayList<>();
        int start = 0;
        for (int i = 0; i < text.length(); i++) {
            if (!isLineEnd(text.charAt(i))) {
                continue;
            }
            int end = text.startsWith("\r\n", i) ? i + 2 : i + 1;
            lines.add(text.substring(start, keepEnds ? end : i));
            start = end;
            i = end - 1;
        }
        if (start < text.length()) {
            lines.add(text.substring(start));
        }
        return lines;
    }

    private static boolean isLineEnd(char c) {
        return (c >= 0x0a && c <= 0x0d)
                || (c >= 0x1c && c <= 0x1e)
                || c == 0x85
                || c == 0x2028
                || c == 0x2029;
    }

    /** Words between runs of space, at most {@code limit + 1}; no limit if negative. */
    static List<String> words(String text, long limit) {
        List<String> words = new ArrayList<>();
        String rest = stripLeft(text, null);
        while (!rest.isEmpty()) {
            int end = 0;
            while (end < rest.length() && !isSpace(rest.charAt(end))) {
                end++;
            }
            if (limit >= 0 && words.size() >= limit) {
                words.add(rest);
                return words;
            }
            words.add(rest.substring(0, end));
            while (end < rest.length() && isSpace(rest.charAt(end))) {
                end++;
            }
            rest = rest.substring(end);
        }
        return words;
    }

    /** {@link #words} counted from the right. */
    static List<String> wordsFromRight(String text, long limit) {
        List<String> words = new ArrayList<>();
        String rest = stripRight(text, null);
        while (!rest.isEmpty()) {
            if (limit >= 0 && words.size() >= limit) {
                words.addFirst(rest);
                return words;
            }
            int start = rest.length();
            while (start > 0 && !isSpace(rest.charAt(start - 1))) {
                start--;
            }
            words.addFirst(rest.substring(start));
            rest = stripRight(rest.substring(0, start), null);
        }
        return words;
    }

    /**
     * Parts between a separator, at most {@code limit + 1}, split from the left; no limit if
     * negative.
     */
    static List<String> split(String text, String separator, long limit) {
        List<String> parts = new ArrayList<>();
        int start = 0;
        while (limit < 0 || parts.size() < limit) {
            int found = text.indexOf(separator, start);
            if (found < 0) {
                break;
            }
            parts.add(text.substring(start, found));
            start = found + separator.length();
        }
        parts.add(text.substring(start));
        return parts;
    }

    /** {@link #split} from the right. */
    static List<String> splitFromRight(String text, String separator, long limit) {
        List<String> parts = new ArrayList<>();
        int end = text.length();
        while (limit < 0 || parts.size() < limit) {
            int found = text.lastIndexOf(separator, end - separator.length());
            if (found < 0 || end < separator.length()) {
                break;
            }
            parts.addFirst(text.substring(found + separator.length(), end));
            end = found;
        }
        parts.addFirst(text.substring(0, end));
        return parts;
    }

    /** How often a part occurs, without overlap. */
    static long count(String text, String part) {
        if (part.isEmpty()) {
            return length(text) + 1L;
        }
        long count = 0;
        for (int i = text.indexOf(part); i >= 0; i = text.indexOf(part, i + part.length())) {
            count++;
        }
        return count;
    }

    static String upper(String text) {
        return text.toUpperCase(Locale.ROOT);
    }

    static String lower(String text) {
        return text.toLowerCase(Locale.ROOT);
    }

    /** First character in title case, the others small. */
    static String capitalize(String text) {
        if (text.isEmpty()) {
            return text;
        }
        int end = text.offsetByCodePoints(0, 1);
        return titleCase(text.substring(0, end)) + lower(text.substring(end));
    }

    private static String titleCase(String character) {
        int c = character.codePointAt(0);
        String upper = upper(character);
        boolean ligature = length(upper) > 1; // such as sharp s, SS: Ss
        return ligature
                ? upper.charAt(0) + lower(upper.substring(1))
                : Character.toString(Character.toTitleCase(c));
    }

    /** {@code str.title}: each run of letters capitalized. */
    static String title(String text) {
        StringBuilder out = new StringBuilder(text.length());
        boolean inside = false;
        for (int i = 0; i < text.length(); ) {
            String c = Character.toString(text.codePointAt(i));
            i += c.length();
            boolean cased = isCased(c.codePointAt(0));
            out.append(!cased ? c : inside ? lower(c) : titleCase(c));
            inside = cased;
        }
        return out.toString();
    }

    static boolean isCased(int c) {
        return Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
    }

    /** Whether there are letters with case, and all of them are capital (or small). */
    static boolean isAll(String text, boolean upper) {
        boolean any = text.codePoints().anyMatch(PyText::isCased);
        return any
                && text.codePoints()
                        .filter(PyText::isCased)
                        .allMatch(upper ? Character::isUpperCase : Character::isLowerCase);
    }

    /** Position in code points of a position in UTF-16 units; -1 stays. */
    static long position(String text, int unit) {
        return unit < 0 ? -1 : text.codePointCount(0, unit);
    }
}
