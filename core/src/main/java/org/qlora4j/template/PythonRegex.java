package org.qlora4j.template;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.qlora4j.error.FormatException;

/**
 * A regular expression and what Python's {@code re} does with it. A line ends in {@code \n} alone,
 * and classes such as {@code \d} are Unicode's.
 */
public final class PythonRegex {
    private static final int FLAGS =
            Pattern.UNIX_LINES | Pattern.UNICODE_CHARACTER_CLASS | Pattern.UNICODE_CASE;

    private final PythonPattern pattern;

    private PythonRegex(PythonPattern pattern) {
        this.pattern = pattern;
    }

    /**
     * @throws FormatException if Java's engine cannot read it
     */
    public static PythonRegex of(String regex) {
        try {
            return new PythonRegex(PythonPattern.compile(regex, FLAGS));
        } catch (PatternSyntaxException e) {
            throw FormatException.of(
                    "the regular expression %s cannot be read: %s", regex, e.getDescription());
        }
    }

    /**
     * {@code re.findall}: each match as its groups, or as itself alone where there are none.
     *
     * @return for each match one text, or as many as there are groups; empty for a group that took
     *     no part
     */
    public List<List<String>> findAll(String text) {
        List<List<String>> found = new ArrayList<>();
        Matcher matcher = pattern.java().matcher(text);
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
        List<String> parts = new ArrayList<>();
        Matcher matcher = pattern.java().matcher(text);
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
        StringBuilder out = new StringBuilder();
        Matcher matcher = pattern.java().matcher(text);
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
