package org.qlora4j.task;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * Python's {@code ast.literal_eval} for what templates print: text, numbers, True, False, None,
 * lists, tuples and dictionaries.
 */
final class PythonLiteral {
    private static final int MOST_NESTING = 100;

    private final String text;
    private int at;
    private int depth;

    private PythonLiteral(String text) {
        this.text = text;
    }

    /**
     * The value: null, Boolean, Long, Double, String, List (of tuples too) or Map.
     *
     * @throws FormatException if the text is no literal
     */
    static @Nullable Object of(String text) {
        PythonLiteral literal = new PythonLiteral(text.strip());
        Object value = literal.value();
        literal.blanks();
        if (literal.at < literal.text.length()) {
            throw literal.wrong();
        }
        return value;
    }

    private FormatException wrong() {
        String shown = text.length() > 80 ? text.substring(0, 80) + "…" : text;
        return FormatException.of(
                "is not a Python literal such as ['A', 'B'] from character %d on: %s",
                at + 1, shown.replaceAll("\\R", "\\\\n"));
    }

    private void blanks() {
        while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
            at++;
        }
    }

    private boolean takes(char c) {
        blanks();
        if (at < text.length() && text.charAt(at) == c) {
            at++;
            return true;
        }
        return false;
    }

    private @Nullable Object value() {
        if (++depth > MOST_NESTING) {
            throw wrong();
        }
        Object value;
        if (takes('[')) {
            value = items(']').values();
        } else if (takes('(')) {
            Items items = items(')');
            // (a) is a alone, (a,) a tuple
            value =
                    items.values().size() == 1 && !items.comma()
                            ? items.values().getFirst()
                            : items.values();
        } else if (takes('{')) {
            value = entries();
        } else if (at < text.length() && (text.charAt(at) == '\'' || text.charAt(at) == '"')) {
            value = strings();
        } else {
            value = word();
        }
        depth--;
        return value;
    }

    private record Items(List<@Nullable Object> values, boolean comma) {}

    private Items items(char close) {
        List<@Nullable Object> items = new ArrayList<>();
        boolean comma = false;
        while (!takes(close)) {
            if (!items.isEmpty() && !comma) {
                throw wrong();
            }
            items.add(value());
            comma = takes(',');
        }
        return new Items(items, comma);
    }

    @SuppressWarnings("NullAway") // None may be a value
    private Map<String, Object> entries() {
        Map<String, Object> map = new LinkedHashMap<>();
        boolean comma = true;
        while (!takes('}')) {
            if (!comma) {
                throw wrong();
            }
            String key = String.valueOf(value());
            if (!takes(':')) {
                throw wrong();
            }
            map.put(key, value());
            comma = takes(',');
        }
        return map;
    }

    /** Texts that follow each other are one. */
    private String strings() {
        StringBuilder out = new StringBuilder();
        while (at < text.length() && (text.charAt(at) == '\'' || text.charAt(at) == '"')) {
            string(out);
            blanks();
        }
        return out.toString();
    }

    private void string(StringBuilder out) {
        char quote = text.charAt(at++);
        while (true) {
            if (at >= text.length() || text.charAt(at) == '\n') {
                throw wrong();
            }
            char c = text.charAt(at++);
            if (c == quote) {
                return;
            }
            if (c != '\\') {
                out.append(c);
            } else {
                escape(out);
            }
        }
    }

    private void escape(StringBuilder out) {
        if (at >= text.length()) {
            throw wrong();
        }
        char c = text.charAt(at++);
        switch (c) {
            case 'n' -> out.append('\n');
            case 't' -> out.append('\t');
            case 'r' -> out.append('\r');
            case 'a' -> out.append('\u0007');
            case 'b' -> out.append('\b');
            case 'f' -> out.append('\f');
            case 'v' -> out.append('\u000b');
            case '\\', '\'', '"' -> out.append(c);
            case 'x' -> out.appendCodePoint(hex(2));
            case 'u' -> out.appendCodePoint(hex(4));
            case 'U' -> out.appendCodePoint(hex(8));
            default -> out.append('\\').append(c);
        }
    }

    private int hex(int digits) {
        if (at + digits > text.length()) {
            throw wrong();
        }
        int code = 0;
        for (int end = at + digits; at < end; at++) {
            int digit = Character.digit(text.charAt(at), 16);
            if (digit < 0 || code > Character.MAX_CODE_POINT >> 4) {
                throw wrong();
            }
            code = code << 4 | digit;
        }
        if (!Character.isValidCodePoint(code)) {
            throw wrong();
        }
        return code;
    }

    private @Nullable Object word() {
        int from = at;
        while (at < text.length() && ",]}):".indexOf(text.charAt(at)) < 0) {
            at++;
        }
        String word = text.substring(from, at).strip();
        try {
            return switch (word) {
                case "True" -> true;
                case "False" -> false;
                case "None" -> null;
                default ->
                        word.matches("[-+]?[0-9_]+")
                                ? (Object) Long.parseLong(word.replace("_", ""))
                                : (Object) Double.parseDouble(word.replace("_", ""));
            };
        } catch (NumberFormatException e) {
            at = from;
            throw wrong();
        }
    }
}
