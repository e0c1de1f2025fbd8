package org.qlora4j.template;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.function.Function;
import java.util.function.LongConsumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.qlora4j.error.FormatException;

/**
 * A stranger's regular expression and what Python's {@code re} does with it, within bounds: a
 * search that backtracks without end is given up. In searches a line ends in {@code \n} alone, and
 * classes such as {@code \d} are Unicode's.
 */
public final class PythonRegex {
    private static final int FLAGS =
            Pattern.UNIX_LINES | Pattern.UNICODE_CHARACTER_CLASS | Pattern.UNICODE_CASE;

    /** Characters that a search may look at beside those of its text: a tenth of a second. */
    private static final long LOOKS = 20_000_000;

    /** Times that a search may look at each character of its text. */
    private static final long LOOKS_AT_EACH = 1000;

    /** Characters that a match of a short name, such as a module's path, may look at. */
    private static final long LOOKS_AT_NAME = 1_000_000;

    /** Characters that a replacement may make. */
    private static final int MAX_TEXT = Budget.MAX_TEXT;

    private final String source;
    private final PythonPattern pattern;

    private PythonRegex(String source, PythonPattern pattern) {
        this.source = source;
        this.pattern = pattern;
    }

    /**
     * @throws FormatException if Java's engine cannot read it
     */
    public static PythonRegex of(String regex) {
        try {
            return new PythonRegex(regex, PythonPattern.compile(regex, FLAGS));
        } catch (PatternSyntaxException e) {
            throw FormatException.of(
                    "the regular expression %s cannot be read: %s",
                    shown(regex), e.getDescription());
        }
    }

    /**
     * {@code re.fullmatch}: whether a whole name matches.
     *
     * @throws FormatException if that takes too long
     * @throws PatternSyntaxException if it is no expression
     */
    public static boolean matches(String regex, String name) {
        PythonRegex whole = new PythonRegex(regex, PythonPattern.compile(regex, 0));
        return whole.search(new CountedText(name, LOOKS_AT_NAME, LOOKS_AT_NAME), Matcher::matches);
    }

    private <T> T search(String text, LongConsumer looks, Function<Matcher, T> work) {
        long most = LOOKS + LOOKS_AT_EACH * text.length();
        CountedText counted = new CountedText(text, most, most);
        try {
            return search(counted, work);
        } finally {
            looks.accept(counted.looks());
        }
    }

    private <T> T search(CountedText text, Function<Matcher, T> work) {
        try {
            return work.apply(pattern.java().matcher(text));
        } catch (CountedText.TooMuch | StackOverflowError e) {
            throw new FormatException(
                    "the regular expression %s searches too long in a text of %d characters, %s; write it without repeats inside repeats"
                            .formatted(shown(source), text.length(), shown(text.toString())),
                    e);
        }
    }

    private static String shown(String text) {
        String line = text.replaceAll("\\R", " ");
        return line.length() <= 80 ? line : line.substring(0, 77) + "...";
    }

    /**
     * {@code re.findall}: each match as its groups, or as itself alone where there are none.
     *
     * @return for each match one text, or as many as there are groups; empty for a group that took
     *     no part
     */
    public List<List<String>> findAll(String text) {
        return search(text, looks -> {}, this::findAll);
    }

    private List<List<String>> findAll(Matcher matcher) {
        List<List<String>> found = new ArrayList<>();
        while (matcher.find()) {
            List<String> groups = new ArrayList<>();
            for (int g = pattern.groups() == 0 ? 0 : 1; g <= pattern.groups(); g++) {
                String group = pattern.group(matcher, g);
                groups.add(group == null ? "" : group);
            }
            found.add(Collections.unmodifiableList(groups));
        }
        return found;
    }

    /** {@code re.split}: the texts between the matches; the expression has no groups. */
    public List<String> split(String text) {
        return search(text, looks -> {}, matcher -> split(text, matcher));
    }

    private static List<String> split(String text, Matcher matcher) {
        List<String> parts = new ArrayList<>();
        int from = 0;
        while (matcher.find()) {
            parts.add(text.substring(from, matcher.start()));
            from = matcher.end();
        }
        parts.add(text.substring(from));
        return parts;
    }

    /**
     * {@code re.sub}.
     *
     * @param replacement with {@code \1}, {@code \g<name>} and {@code \n} as Python reads them
     * @param count matches replaced at most, 0 for all
     */
    public String replace(String text, String replacement, int count) {
        return replace(text, replacement, count, looks -> {});
    }

    /**
     * {@link #replace(String, String, int)}.
     *
     * @param looks is told how many characters were looked at
     */
    String replace(String text, String replacement, int count, LongConsumer looks) {
        return search(text, looks, matcher -> replace(text, matcher, replacement, count));
    }

    private String replace(String text, Matcher matcher, String replacement, int count) {
        StringBuilder out = new StringBuilder();
        int from = 0;
        for (int i = 0; (count == 0 || i < count) && matcher.find(); i++) {
            out.append(text, from, matcher.start());
            expand(matcher, replacement, out);
            from = matcher.end();
        }
        return out.append(text.substring(from)).toString();
    }

    private void expand(Matcher matcher, String replacement, StringBuilder out) {
        for (int i = 0; i < replacement.length(); i++) {
            if (out.length() > MAX_TEXT) {
                throw FormatException.of(
                        "replacing the regular expression %s makes a text of more than %d characters",
                        shown(source), MAX_TEXT);
            }
            char c = replacement.charAt(i);
            if (c != '\\' || i + 1 == replacement.length()) {
                out.append(c);
                continue;
            }
            char next = replacement.charAt(++i);
            if (next == 'g' && replacement.startsWith("<", i + 1)) {
                int end = replacement.indexOf('>', i);
                if (end < 0) {
                    throw FormatException.of("%s: missing >, of a group's name", replacement);
                }
                out.append(group(matcher, replacement.substring(i + 2, end)));
                i = end;
            } else if (Character.isDigit(next)) {
                boolean two =
                        i + 1 < replacement.length()
                                && Character.isDigit(replacement.charAt(i + 1));
                out.append(group(matcher, replacement.substring(i, i + (two ? 2 : 1))));
                i += two ? 1 : 0;
            } else {
                switch (next) {
                    case 'n' -> out.append('\n');
                    case 't' -> out.append('\t');
                    case 'r' -> out.append('\r');
                    case '\\' -> out.append('\\');
                    default -> out.append('\\').append(next);
                }
            }
        }
    }

    private String group(Matcher matcher, String name) {
        try {
            Integer number = pattern.names().get(name);
            String group = pattern.group(matcher, number == null ? Integer.parseInt(name) : number);
            return group == null ? "" : group;
        } catch (IllegalArgumentException e) { // no number, or one of no group
            throw FormatException.of("the regular expression has no group %s", name);
        }
    }
}
