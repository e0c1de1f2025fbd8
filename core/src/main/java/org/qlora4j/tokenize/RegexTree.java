package org.qlora4j.tokenize;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.PatternSyntaxException;

/**
 * What repeats what in a regular expression of Oniguruma (Ruby's syntax): enough to tell whether it
 * may backtrack without bound, and to write it for Java's engine. Back references, calls, callouts,
 * conditions and free spacing are refused; no tokenizer uses them.
 */
final class RegexTree {
    /** Groups inside one another. */
    private static final int MAX_NESTING = 50;

    /** Atoms once counted repeats are written out, which Oniguruma does. */
    private static final long MAX_SIZE = 20_000;

    private static final int UNBOUNDED = Integer.MAX_VALUE;

    /** A part of the pattern. */
    private sealed interface Node {}

    /** One character, class, escape or anchor, as Java writes it. */
    private record Atom(String java) implements Node {}

    private record Sequence(List<Node> parts) implements Node {}

    private record Alternatives(List<Node> parts) implements Node {}

    /**
     * A group.
     *
     * @param open how Java opens it
     * @param isAtomic whether nothing inside is tried again once it has matched
     */
    private record Group(String open, boolean isAtomic, Node body) implements Node {}

    private record Repeat(Node body, int min, int max, String mode) implements Node {}

    private final String source;
    private final Node root;
    private int at = 0;
    private int depth = 0;

    private RegexTree(String source) {
        this.source = source;
        this.root = alternatives();
        if (at < source.length()) {
            throw wrong("a closing parenthesis has no opening one");
        }
    }

    /** Parses a pattern, or says by a {@code PatternSyntaxException} what of it is not allowed. */
    static RegexTree parse(String source) {
        return new RegexTree(source);
    }

    /** Refuses loops in loops that could be left in many ways, and repeats that multiply. */
    void check() {
        if (size(root) > MAX_SIZE) {
            throw wrong("its counted repeats make it too large");
        }
        loops(root, true);
    }

    /** The pattern for Java's engine. */
    String java() {
        StringBuilder out = new StringBuilder();
        write(root, out);
        return out.toString();
    }

    private PatternSyntaxException wrong(String reason) {
        return new PatternSyntaxException(reason, source, at);
    }

    private static long size(Node node) {
        long size =
                switch (node) {
                    case Atom atom -> 1;
                    case Sequence sequence ->
                            sequence.parts.stream().mapToLong(RegexTree::size).sum();
                    case Alternatives all -> all.parts.stream().mapToLong(RegexTree::size).sum();
                    case Group group -> 1 + size(group.body);
                    case Repeat repeat -> {
                        int times = repeat.max == UNBOUNDED ? repeat.min : repeat.max;
                        yield 1 + size(repeat.body) * Math.max(1, times);
                    }
                };
        return Math.min(size, MAX_SIZE + 1);
    }

    /**
     * Looks for a loop whose body can match the same text in several ways, where something behind
     * it can fail: such a search may take exponential time.
     *
     * @param isLast whether nothing follows that could fail
     */
    private void loops(Node node, boolean isLast) {
        switch (node) {
            case Atom atom -> {}
            case Sequence sequence -> {
                for (int i = 0; i < sequence.parts.size(); i++) {
                    loops(sequence.parts.get(i), isLast && cannotFail(sequence, i + 1));
                }
            }
            case Alternatives all -> all.parts.forEach(part -> loops(part, isLast));
            case Group group -> loops(group.body, isLast || group.isAtomic);
            case Repeat repeat -> {
                boolean many = repeat.max > 1;
                boolean possessive = repeat.mode.equals("+");
                if (repeat.max > 20 && varies(repeat.body) && !isLast && !possessive) {
                    throw wrong("a repeat inside a repeat can backtrack without end");
                }
                loops(repeat.body, !many && isLast);
            }
        }
    }

    private static boolean cannotFail(Sequence sequence, int from) {
        return sequence.parts.subList(from, sequence.parts.size()).stream()
                .allMatch(part -> part instanceof Repeat repeat && repeat.min == 0);
    }

    /** Whether a part can match one text in several ways. */
    private static boolean varies(Node node) {
        return switch (node) {
            case Atom atom -> false;
            case Sequence sequence -> sequence.parts.stream().anyMatch(RegexTree::varies);
            case Alternatives all -> true;
            case Group group -> !group.isAtomic && varies(group.body);
            case Repeat repeat ->
                    !repeat.mode.equals("+") && (repeat.min != repeat.max || varies(repeat.body));
        };
    }

    private static void write(Node node, StringBuilder out) {
        switch (node) {
            case Atom atom -> out.append(atom.java);
            case Sequence sequence -> sequence.parts.forEach(part -> write(part, out));
            case Alternatives all -> {
                for (int i = 0; i < all.parts.size(); i++) {
                    out.append(i == 0 ? "" : "|");
                    write(all.parts.get(i), out);
                }
            }
            case Group group -> {
                out.append(group.open);
                write(group.body, out);
                out.append(')');
            }
            case Repeat repeat -> {
                boolean bare = repeat.body instanceof Atom || repeat.body instanceof Group;
                out.append(bare ? "" : "(?:");
                write(repeat.body, out);
                out.append(bare ? "{" : "){").append(repeat.min).append(',');
                out.append(repeat.max == UNBOUNDED ? "" : repeat.max).append('}');
                out.append(repeat.mode);
            }
        }
    }

    private Node alternatives() {
        if (++depth > MAX_NESTING) {
            throw wrong("its groups are nested more than " + MAX_NESTING + " deep");
        }
        List<Node> all = new ArrayList<>(List.of(sequence()));
        while (at < source.length() && source.charAt(at) == '|') {
            at++;
            all.add(sequence());
        }
        depth--;
        return all.size() == 1 ? all.getFirst() : new Alternatives(all);
    }

    private Node sequence() {
        List<Node> parts = new ArrayList<>();
        while (at < source.length() && "|)".indexOf(source.charAt(at)) < 0) {
            Node part = element();
            while (at < source.length()) {
                Node repeated = repeated(part);
                if (repeated == part) {
                    break;
                }
                part = repeated;
            }
            parts.add(part);
        }
        return parts.size() == 1 ? parts.getFirst() : new Sequence(parts);
    }

    private Node repeated(Node body) {
        int min;
        int max;
        boolean counted = false;
        switch (source.charAt(at)) {
            case '*' -> {
                min = 0;
                max = UNBOUNDED;
                at++;
            }
            case '+' -> {
                min = 1;
                max = UNBOUNDED;
                at++;
            }
            case '?' -> {
                min = 0;
                max = 1;
                at++;
            }
            case '{' -> {
                int end = source.indexOf('}', at);
                String inside = end < 0 ? "" : source.substring(at + 1, end);
                if (!inside.matches("\\d{1,5}(,\\d{0,5})?|,\\d{1,5}")) {
                    return body; // a plain brace
                }
                String[] bounds = inside.split(",", -1);
                min = bounds[0].isEmpty() ? 0 : Integer.parseInt(bounds[0]);
                String most = bounds[bounds.length - 1];
                max = most.isEmpty() ? UNBOUNDED : Integer.parseInt(most);
                if (max < min) {
                    throw wrong("its repeat {" + inside + "} has no such count");
                }
                at = end + 1;
                counted = true;
            }
            default -> {
                return body;
            }
        }
        return new Repeat(body, min, max, mode(counted));
    }

    /** Lazy or possessive; behind a count in braces a plus is a repeat of its own. */
    private String mode(boolean counted) {
        if (at < source.length() && source.charAt(at) == '?') {
            at++;
            return "?";
        }
        if (!counted && at < source.length() && source.charAt(at) == '+') {
            at++;
            return "+";
        }
        return "";
    }

    private Node element() {
        char c = source.charAt(at);
        return switch (c) {
            case '(' -> group();
            case '[' -> new Atom(characterClass());
            case '\\' -> new Atom(escape());
            case '*', '+', '?' -> throw wrong("a repeat has nothing to repeat");
            default -> {
                int end = source.offsetByCodePoints(at, 1);
                String text = source.substring(at, end);
                at = end;
                yield new Atom("{}#".contains(text) ? "\\" + text : text);
            }
        };
    }

    private Node group() {
        String open = "(?:";
        boolean isAtomic = false;
        if (source.startsWith("(?#", at)) {
            int end = source.indexOf(')', at);
            at = end < 0 ? source.length() : end + 1;
            return new Sequence(List.of());
        }
        at++;
        if (source.startsWith("*", at)) {
            throw wrong("callouts are not run");
        }
        if (source.startsWith("?", at)) {
            at++;
            String kind = kind();
            at += kind.length();
            switch (kind) {
                case "=", "!", "<=", "<!", ">" -> {
                    open = "(?" + kind;
                    isAtomic = true;
                }
                default -> {
                    if (kind.endsWith(")")) { // flags up to the end of the group around
                        String flags = kind.substring(0, kind.length() - 1);
                        Node rest = alternatives();
                        return new Group("(?" + javaFlags(flags) + ":", false, rest);
                    }
                    if (!kind.startsWith("<") && kind.length() > 1) {
                        String flags = kind.substring(0, kind.length() - 1);
                        open = "(?" + javaFlags(flags) + ":";
                    }
                }
            }
        }
        Node body = alternatives();
        if (at >= source.length()) {
            throw wrong("a group is not closed");
        }
        at++;
        return new Group(open, isAtomic, body);
    }

    /** What stands behind {@code (?}, up to where the group's body begins. */
    private String kind() {
        for (String look : List.of("=", "!", "<=", "<!", ">", ":")) {
            if (source.startsWith(look, at)) {
                return look;
            }
        }
        int end = at;
        if (source.startsWith("<", at)) {
            end = source.indexOf('>', at);
            if (end > at) {
                return source.substring(at, end + 1);
            }
        }
        while (end >= 0 && end < source.length() && "im-".indexOf(source.charAt(end)) >= 0) {
            end++;
        }
        if (end <= at || end >= source.length() || ":)".indexOf(source.charAt(end)) < 0) {
            throw wrong("a group of an unknown kind");
        }
        return source.substring(at, end + 1);
    }

    /** Ruby's {@code m} lets a dot match line feeds, which is Java's {@code s}. */
    private static String javaFlags(String flags) {
        return flags.replace('m', 's');
    }

    private String escape() {
        if (at + 1 >= source.length()) {
            throw wrong("a backslash stands at the end");
        }
        int start = at;
        char c = source.charAt(at + 1);
        at = source.offsetByCodePoints(at + 1, 1);
        switch (c) {
            case 'p', 'P' -> {
                int end = source.startsWith("{", at) ? source.indexOf('}', at) : -1;
                if (end < 0) {
                    throw wrong("a property has no name in braces");
                }
                String name = source.substring(at + 1, end);
                at = end + 1;
                return property(name.startsWith("^") == (c == 'P'), name.replace("^", ""));
            }
            case 'x', 'u' -> {
                int most = c == 'u' ? 4 : 2;
                int end = at;
                if (source.startsWith("{", at)) {
                    end = source.indexOf('}', at) + 1;
                } else {
                    while (end < source.length()
                            && end < at + most
                            && Character.digit(source.charAt(end), 16) >= 0) {
                        end++;
                    }
                }
                if (end <= at) {
                    throw wrong("a code has no digits");
                }
                at = end;
                return source.substring(start, end);
            }
            case 'h' -> {
                return "[0-9a-fA-F]";
            }
            case 'H' -> {
                return "[^0-9a-fA-F]";
            }
            default -> {
                boolean plain = "wWdDsSbBAzZGnrtfaeRX".indexOf(c) >= 0;
                if (!plain && (Character.isLetterOrDigit(c) && c < 128) && c != '0') {
                    throw wrong("\\" + c + " is not run");
                }
                return c == '0' ? "\\x00" : source.substring(start, at);
            }
        }
    }

    private static String property(boolean isPositive, String name) {
        String open = isPositive ? "\\p{" : "\\P{";
        for (String spelling : List.of(name, "Is" + name, "In" + name)) {
            try {
                java.util.regex.Pattern.compile(open + spelling + "}");
                return open + spelling + "}";
            } catch (PatternSyntaxException e) {
                continue; // the next spelling
            }
        }
        throw new PatternSyntaxException("the property " + name + " is unknown", name, 0);
    }

    private String characterClass() {
        if (++depth > MAX_NESTING) {
            throw wrong("its classes are nested more than " + MAX_NESTING + " deep");
        }
        StringBuilder out = new StringBuilder("[");
        at++;
        if (at < source.length() && source.charAt(at) == '^') {
            out.append('^');
            at++;
        }
        boolean first = true;
        while (at < source.length() && (first || source.charAt(at) != ']')) {
            char c = source.charAt(at);
            if (source.startsWith("[:", at) && source.indexOf(":]", at) > at) {
                int end = source.indexOf(":]", at);
                String name = source.substring(at + 2, end);
                at = end + 2;
                out.append(property(!name.startsWith("^"), posix(name.replace("^", ""))));
            } else if (c == '[') {
                out.append(characterClass());
            } else if (c == '\\') {
                boolean backspace = source.startsWith("\\b", at);
                String escaped = escape();
                out.append(backspace ? "\\x08" : escaped);
            } else if (source.startsWith("&&", at)) {
                out.append("&&");
                at += 2;
            } else {
                int end = source.offsetByCodePoints(at, 1);
                String text = source.substring(at, end);
                out.append("]#&".contains(text) ? "\\" + text : text);
                at = end;
            }
            first = false;
        }
        if (at >= source.length()) {
            throw wrong("a class is not closed");
        }
        at++;
        depth--;
        return out.append(']').toString();
    }

    private static String posix(String name) {
        return switch (name) {
            case "xdigit" -> "XDigit";
            case "ascii" -> "ASCII";
            case "word" -> "IsWord";
            default ->
                    name.isEmpty()
                            ? name
                            : Character.toUpperCase(name.charAt(0)) + name.substring(1);
        };
    }
}
