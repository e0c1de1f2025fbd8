package org.qlora4j.template;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;
import java.util.function.UnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * What Python's str does on plain text. Python counts code points where Java counts UTF-16 units.
 */
final class PyText {
    private static final int SHORT = 64;

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
        IntPredicate strips = strips(characters);
        int start = 0;
        while (start < text.length() && strips.test(text.codePointAt(start))) {
            start += Character.charCount(text.codePointAt(start));
        }
        return text.substring(start);
    }

    static String stripRight(String text, @Nullable String characters) {
        IntPredicate strips = strips(characters);
        int end = text.length();
        while (end > 0 && strips.test(text.codePointBefore(end))) {
            end -= Character.charCount(text.codePointBefore(end));
        }
        return text.substring(0, end);
    }

    private static IntPredicate strips(@Nullable String characters) {
        if (characters == null) {
            return PyText::isSpace;
        }
        BitSet set = new BitSet();
        characters.codePoints().forEach(set::set);
        return set::get;
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

    static boolean isLineEnd(char c) {
        return (c >= 0x0a && c <= 0x0d)
                || (c >= 0x1c && c <= 0x1e)
                || c == 0x85
                || c == 0x2028
                || c == 0x2029;
    }

    /** How many words there are between runs of space. */
    static long wordCount(String text) {
        long words = 0;
        boolean inside = false;
        for (int i = 0; i < text.length(); i++) {
            boolean space = isSpace(text.charAt(i));
            words += inside || space ? 0 : 1;
            inside = !space;
        }
        return words;
    }

    /** Words between runs of space, at most {@code limit + 1}; no limit if negative. */
    static List<String> words(String text, long limit) {
        List<String> words = new ArrayList<>();
        int start = 0;
        while (true) {
            while (start < text.length() && isSpace(text.charAt(start))) {
                start++;
            }
            if (start == text.length()) {
                return words;
            }
            int end = start;
            while (end < text.length() && !isSpace(text.charAt(end))) {
                end++;
            }
            if (limit >= 0 && words.size() >= limit) {
                words.add(text.substring(start));
                return words;
            }
            words.add(text.substring(start, end));
            start = end;
        }
    }

    /** {@link #words} counted from the right. */
    static List<String> wordsFromRight(String text, long limit) {
        List<String> words = new ArrayList<>();
        int end = text.length();
        while (true) {
            while (end > 0 && isSpace(text.charAt(end - 1))) {
                end--;
            }
            if (end == 0) {
                return words.reversed();
            }
            int start = end;
            while (start > 0 && !isSpace(text.charAt(start - 1))) {
                start--;
            }
            if (limit >= 0 && words.size() >= limit) {
                words.add(text.substring(0, end));
                return words.reversed();
            }
            words.add(text.substring(start, end));
            end = start;
        }
    }

    /**
     * Parts between a separator, at most {@code limit + 1}, split from the left; no limit if
     * negative.
     */
    static List<String> split(String text, String separator, long limit) {
        List<String> parts = new ArrayList<>();
        TextSearch search = new TextSearch(text, separator);
        int start = 0;
        while (limit < 0 || parts.size() < limit) {
            int found = search.next(start);
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
        TextSearch search = new TextSearch(reversed(text), reversed(separator));
        int end = text.length();
        while (limit < 0 || parts.size() < limit) {
            int behind = search.next(text.length() - end);
            if (behind < 0) {
                break;
            }
            parts.add(text.substring(text.length() - behind, end));
            end = text.length() - behind - separator.length();
        }
        parts.add(text.substring(0, end));
        return parts.reversed();
    }

    /** The UTF-16 units from the end to the beginning; halves of a pair change places. */
    private static String reversed(String text) {
        char[] units = new char[text.length()];
        for (int i = 0; i < units.length; i++) {
            units[i] = text.charAt(units.length - 1 - i);
        }
        return new String(units);
    }

    /** Where a part occurs first, -1 if nowhere. */
    static int indexOf(String text, String part) {
        return new TextSearch(text, part).next(0);
    }

    /** Where a part occurs last, -1 if nowhere. */
    static int lastIndexOf(String text, String part) {
        int behind = new TextSearch(reversed(text), reversed(part)).next(0);
        return behind < 0 ? -1 : text.length() - behind - part.length();
    }

    /** How often a part occurs, without overlap. */
    static long count(String text, String part) {
        if (part.isEmpty()) {
            return length(text) + 1L;
        }
        long count = 0;
        TextSearch search = new TextSearch(text, part);
        for (int i = search.next(0); i >= 0; i = search.next(i + part.length())) {
            count++;
        }
        return count;
    }

    static String upper(String text) {
        if (text.length() > SHORT) { // Java's takes the square of characters that grow, as ß does
            return inParts(text, part -> part.toUpperCase(Locale.ROOT));
        }
        return text.toUpperCase(Locale.ROOT);
    }

    static String lower(String text) {
        return text.toLowerCase(Locale.ROOT);
    }

    private static String inParts(String text, UnaryOperator<String> change) {
        StringBuilder out = new StringBuilder(text.length());
        for (int at = 0; at < text.length(); ) {
            int end = Math.min(text.length(), at + SHORT);
            if (end < text.length() && Character.isHighSurrogate(text.charAt(end - 1))) {
                end--;
            }
            out.append(change.apply(text.substring(at, end)));
            at = end;
        }
        return out.toString();
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
