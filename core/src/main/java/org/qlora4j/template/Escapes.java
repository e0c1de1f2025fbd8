package org.qlora4j.template;

import org.qlora4j.template.TemplateError.Kind;

/** Backslash escapes of string literals, as Python's {@code unicode-escape} codec reads them. */
final class Escapes {
    private Escapes() {}

    /**
     * The text that a literal's body stands for; unknown escapes keep their backslash.
     *
     * @param place where the literal starts, for the error of a broken escape
     */
    static String decode(String body, int place) {
        StringBuilder out = new StringBuilder(body.length());
        int i = 0;
        while (i < body.length()) {
            char c = body.charAt(i++);
            if (c != '\\') {
                out.append(c);
                continue;
            }
            if (i == body.length()) {
                throw new TemplateError(Kind.SYNTAX, "\\ at end of string", place);
            }
            int escaped = body.codePointAt(i);
            i += Character.charCount(escaped);
            switch (escaped) {
                case '\n' -> {} // a line continued
                case '\\', '\'', '"' -> out.append((char) escaped);
                case 'a' -> out.append('\u0007');
                case 'b' -> out.append('\b');
                case 'f' -> out.append('\f');
                case 'n' -> out.append('\n');
                case 'r' -> out.append('\r');
                case 't' -> out.append('\t');
                case 'v' -> out.append('\u000b');
                case '0', '1', '2', '3', '4', '5', '6', '7' -> {
                    int end = i;
                    while (end < body.length()
                            && end < i + 2
                            && body.charAt(end) >= '0'
                            && body.charAt(end) <= '7') {
                        end++;
                    }
                    out.appendCodePoint(Integer.parseInt(body.substring(i - 1, end), 8));
                    i = end;
                }
                case 'x' -> i = hex(body, i, 2, "truncated \\xXX escape", place, out);
                case 'u' -> i = hex(body, i, 4, "truncated \\uXXXX escape", place, out);
                case 'U' -> i = hex(body, i, 8, "truncated \\UXXXXXXXX escape", place, out);
                case 'N' -> i = named(body, i, place, out);
                default -> out.append(unknown(escaped));
            }
        }
        return out.toString();
    }

    /**
     * Jinja2 writes other alphabets as escapes first, so that a backslash before them escapes that
     * escape.
     */
    private static String unknown(int escaped) {
        if (escaped < 0x80) {
            return "\\" + (char) escaped;
        }
        return String.format(
                "\\" + (escaped < 0x100 ? "x%02x" : escaped < 0x10000 ? "u%04x" : "U%08x"),
                escaped);
    }

    private static int hex(
            String body, int from, int digits, String problem, int place, StringBuilder out) {
        int end = from;
        while (end < body.length()
                && end < from + digits
                && Character.digit(body.charAt(end), 16) >= 0) {
            end++;
        }
        if (end < from + digits) {
            throw new TemplateError(Kind.SYNTAX, problem, place);
        }
        long code = Long.parseLong(body.substring(from, end), 16);
        if (code > Character.MAX_CODE_POINT) {
            throw new TemplateError(Kind.SYNTAX, "illegal Unicode character", place);
        }
        out.appendCodePoint((int) code);
        return end;
    }

    private static int named(String body, int from, int place, StringBuilder out) {
        int end = body.indexOf('}', from);
        if (end < 0 || body.charAt(from) != '{') {
            throw new TemplateError(Kind.SYNTAX, "malformed \\N character escape", place);
        }
        try {
            out.appendCodePoint(Character.codePointOf(body.substring(from + 1, end)));
        } catch (IllegalArgumentException e) {
            throw new TemplateError(Kind.SYNTAX, "unknown Unicode character name", place);
        }
        return end + 1;
    }
}
