package org.qlora4j.template;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.jspecify.annotations.Nullable;

/**
 * A regular expression of Python (module {@code re}), as Java's engine reads it. What the two spell
 * differently is translated: named groups and references to them, conditions on a group, comments,
 * repeats without a lower bound, letters with a meaning in classes.
 *
 * <p>In Java, all groups have names of our own, {@code g1} on. Behind each stands an empty one,
 * {@code c1} on, which has matched exactly if the group has; a condition asks for it.
 *
 * @param java the translation
 * @param groups number of groups that the expression has in Python
 * @param names of groups, with their numbers
 */
public record PythonPattern(Pattern java, int groups, Map<String, Integer> names) {
    private static final int MAX_LENGTH = 20_000;

    /**
     * Compiles an expression.
     *
     * @param flags of {@link Pattern}
     * @throws PatternSyntaxException if it is none
     */
    public static PythonPattern compile(String python, int flags) {
        if (python.length() > MAX_LENGTH) {
            throw new PatternSyntaxException(
                    "it is longer than " + MAX_LENGTH + " characters", python, MAX_LENGTH);
        }
        Translation translation = new Translation(python);
        String java = translation.translate();
        try {
            return new PythonPattern(
                    Pattern.compile(java, flags),
                    translation.groups,
                    Map.copyOf(translation.named));
        } catch (PatternSyntaxException e) { // its place is one in the translation
            int at = Math.min(e.getIndex(), python.length());
            throw new PatternSyntaxException(e.getDescription(), python, at);
        }
    }

    /**
     * What a group of a match holds, null if it took no part; 0 is the whole match.
     *
     * @throws IllegalArgumentException if the expression has no such group
     */
    @Nullable String group(Matcher matcher, int group) {
        return group == 0 ? matcher.group() : matcher.group("g" + group);
    }

    private static final class Translation {
        private final String python;
        private final StringBuilder java = new StringBuilder();
        private final Map<String, Integer> named = new HashMap<>();
        private final Deque<Frame> open = new ArrayDeque<>();
        private int groups;
        private int at;

        /**
         * An open parenthesis.
         *
         * @param group its number if it captures, else 0
         * @param condition number of the group that it asks for, else 0
         */
        private record Frame(int group, int condition, boolean second) {}

        Translation(String python) {
            this.python = python;
        }

        private String translate() {
            while (at < python.length()) {
                char c = python.charAt(at);
                switch (c) {
                    case '\\' -> escape();
                    case '[' -> charClass();
                    case '(' -> group();
                    case ')' -> close();
                    case '|' -> alternative();
                    case '{' -> repeat();
                    default -> {
                        java.append(c);
                        at++;
                    }
                }
            }
            if (!open.isEmpty()) {
                throw error("Unclosed group");
            }
            return java.toString();
        }

        private void escape() {
            if (at + 1 >= python.length()) {
                throw error("a backslash at the end");
            }
            char c = python.charAt(at + 1);
            if (c == 'Z') {
                java.append("\\z");
                at += 2;
            } else if (c >= '1' && c <= '9') {
                int end = at + 2;
                if (end < python.length() && Character.isDigit(python.charAt(end))) {
                    end++;
                }
                reference(Integer.parseInt(python.substring(at + 1, end)));
                at = end;
            } else {
                java.append('\\').append(c);
                at += 2;
            }
        }

        private void reference(int group) {
            if (group < 1 || group > groups) {
                throw error("no group " + group);
            }
            java.append("\\k<g").append(group).append('>');
        }

        private void charClass() {
            java.append('[');
            at++;
            if (at < python.length() && python.charAt(at) == '^') {
                java.append('^');
                at++;
            }
            boolean first = true;
            while (at < python.length()) {
                char c = python.charAt(at++);
                if (c == ']' && !first) {
                    java.append(']');
                    return;
                }
                first = false;
                if (c == '\\' && at < python.length()) {
                    java.append(c).append(python.charAt(at++));
                } else if (c == '[' || c == ']' || c == '&') { // nested classes and && in Java
                    java.append('\\').append(c);
                } else {
                    java.append(c);
                }
            }
            throw error("a class without its end");
        }

        private void group() {
            String rest = python.substring(at);
            if (!rest.startsWith("(?")) {
                capture(null);
                at++;
            } else if (rest.startsWith("(?P<")) {
                int end = rest.indexOf('>');
                capture(nameIn(rest, 4, end));
                at += end + 1;
            } else if (rest.startsWith("(?P=")) {
                int end = rest.indexOf(')');
                reference(numberOf(nameIn(rest, 4, end)));
                at += end + 1;
            } else if (rest.startsWith("(?(")) {
                int end = rest.indexOf(')');
                int condition = numberOf(nameIn(rest, 3, end));
                java.append("(?:\\k<c").append(condition).append('>');
                open.push(new Frame(0, condition, false));
                at += end + 1;
            } else if (rest.startsWith("(?#")) {
                int end = rest.indexOf(')');
                nameIn(rest, 3, end);
                at += end + 1;
            } else {
                special(rest);
            }
        }

        /** Look-around, atomic and plain groups, and flags. */
        private void special(String rest) {
            for (String begin : new String[] {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"}) {
                if (rest.startsWith(begin)) {
                    java.append(begin);
                    open.push(new Frame(0, 0, false));
                    at += begin.length();
                    return;
                }
            }
            int end = 2;
            while (end < rest.length() && "aiLmsux-".indexOf(rest.charAt(end)) >= 0) {
                end++;
            }
            if (end == 2
                    || end >= rest.length()
                    || (rest.charAt(end) != ')' && rest.charAt(end) != ':')) {
                throw error("an unknown kind of group");
            }
            String flags = rest.substring(2, end).replaceAll("[aLu]", "").replaceAll("-$", "");
            boolean scoped = rest.charAt(end) == ':';
            if (scoped) {
                java.append("(?").append(flags).append(':');
                open.push(new Frame(0, 0, false));
            } else if (!flags.isEmpty()) {
                java.append("(?").append(flags).append(')');
            }
            at += end + 1;
        }

        private void capture(@Nullable String name) {
            groups++;
            if (name != null && named.put(name, groups) != null) {
                throw error("a second group " + name);
            }
            java.append("(?<g").append(groups).append('>');
            open.push(new Frame(groups, 0, false));
        }

        private void close() {
            if (open.isEmpty()) {
                throw error("a parenthesis too many");
            }
            Frame frame = open.pop();
            if (frame.group > 0) {
                java.append("(?<c").append(frame.group).append(">)");
            }
            if (frame.condition > 0 && !frame.second) { // without it, nothing is to match
                java.append("|(?!\\k<c").append(frame.condition).append(">)");
            }
            java.append(')');
            at++;
        }

        private void alternative() {
            Frame frame = open.peek();
            java.append('|');
            if (frame != null && frame.condition > 0) {
                if (frame.second) {
                    throw error("a condition with more than two branches");
                }
                java.append("(?!\\k<c").append(frame.condition).append(">)");
                open.pop();
                open.push(new Frame(0, frame.condition, true));
            }
            at++;
        }

        private void repeat() {
            int end = python.indexOf('}', at);
            String bounds = end < 0 ? "" : python.substring(at + 1, end);
            if (bounds.matches("\\d+|\\d+,\\d*|,\\d+|,")) {
                java.append('{')
                        .append(bounds.startsWith(",") ? "0" : "")
                        .append(bounds)
                        .append('}');
                at = end + 1;
            } else { // a letter like others
                java.append("\\{");
                at++;
            }
        }

        private String nameIn(String rest, int from, int end) {
            if (end < from) {
                throw error("a group without its end");
            }
            return rest.substring(from, end);
        }

        private int numberOf(String name) {
            Integer number = named.get(name);
            if (number == null && name.matches("[1-9][0-9]?")) {
                number = Integer.valueOf(name);
            }
            if (number == null || number > groups) {
                throw error("no group " + name);
            }
            return number;
        }

        private PatternSyntaxException error(String what) {
            return new PatternSyntaxException(what, python, at);
        }
    }
}
