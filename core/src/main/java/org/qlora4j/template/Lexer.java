package org.qlora4j.template;

import java.math.BigInteger;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.qlora4j.template.TemplateError.Kind;

/**
 * Template text to tokens, by the rules of Jinja2's lexer. Where the syntax trims, as with {@code
 * trim_blocks} and {@code lstrip_blocks}, the newline after a block is dropped, and so is the
 * indentation before one; {@code -} strips more, {@code +} nothing.
 */
final class Lexer {
    private static final Pattern RAW_BEGIN = unicode("\\{%([-+]?)\\s*raw\\s*(?:-%\\}\\s*|%\\})");
    private static final Pattern RAW_END =
            unicode("\\{%([-+]?)\\s*endraw\\s*(?:\\+%\\}|-%\\}\\s*|%\\})");
    private static final Pattern TRIMMED_RAW_END =
            unicode("\\{%([-+]?)\\s*endraw\\s*(?:\\+%\\}|-%\\}\\s*|%\\}\\n?)");
    // Possessive, so that a number of any length takes no stack.
    private static final Pattern FLOAT =
            Pattern.compile(
                    "(?<!\\.)\\d++(?:_\\d++)*+(?:(?:\\.\\d++(?:_\\d++)*+)?[eE][+-]?\\d++(?:_\\d++)*+|\\.\\d++(?:_\\d++)*+)");
    private static final Pattern INTEGER =
            Pattern.compile(
                    "0[bB](?:_?[01])++|0[oO](?:_?[0-7])++|0[xX](?:_?[0-9a-fA-F])++|[1-9](?:_?\\d)*+|0(?:_?0)*+");
    private static final List<String> OPERATORS =
            List.of(
                    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(",
                    ")", "{", "}", ".", ":", "|", ",", ";", "=", "<", ">");

    /** Digits of a literal; Python's own bound on reading integers. */
    private static final int MAX_DIGITS = 4300;

    private final String source;
    private final boolean trims;
    private final List<Token> tokens = new ArrayList<>();
    private int at = 0;
    private boolean lineStarting = true;

    private Lexer(String source, boolean trims) {
        this.source = source;
        this.trims = trims;
    }

    private static Pattern unicode(String regex) {
        return Pattern.compile(regex, Pattern.UNICODE_CHARACTER_CLASS);
    }

    /**
     * The text with line ends as {@code \n} and without one at its very end; offsets of tokens
     * refer to it.
     */
    static String normalized(String text) {
        String lines = withLineFeeds(text);
        return lines.endsWith("\n") ? lines.substring(0, lines.length() - 1) : lines;
    }

    /** The text with line ends as {@code \n}, the last one kept ({@code keep_trailing_newline}). */
    static String withLineFeeds(String text) {
        return text.replace("\r\n", "\n").replace('\r', '\n');
    }

    /** All tokens of a normalized text, closed by {@link Token.Type#END}. */
    static List<Token> tokens(String normalized, boolean trims) {
        Lexer lexer = new Lexer(normalized, trims);
        while (lexer.at < normalized.length()) {
            lexer.dataAndTag();
        }
        lexer.add(Token.Type.END, "", normalized.length());
        return lexer.tokens;
    }

    private void add(Token.Type type, String text, int start) {
        tokens.add(new Token(type, text, text, start));
    }

    private static TemplateError syntax(String message, int place) {
        return new TemplateError(Kind.SYNTAX, message, place);
    }

    private void dataAndTag() {
        int tag = nextTag();
        String text = source.substring(at, tag);
        if (tag == source.length()) {
            add(Token.Type.DATA, text, at);
            at = tag;
            return;
        }
        char kind = source.charAt(tag + 1);
        char sign = tag + 2 < source.length() ? source.charAt(tag + 2) : ' ';
        boolean signed = sign == '-' || sign == '+';
        String kept = stripBefore(text, signed ? sign : ' ', kind == '{');
        if (!kept.isEmpty()) {
            add(Token.Type.DATA, kept, at);
        }
        Matcher raw = RAW_BEGIN.matcher(source).region(tag, source.length());
        if (kind == '%' && raw.lookingAt()) {
            at = raw.end();
            lineStarting = source.charAt(at - 1) == '\n';
            rawBlock(tag);
            return;
        }
        at = tag + (signed ? 3 : 2);
        lineStarting = false;
        switch (kind) {
            case '#' -> comment(tag);
            case '%' -> tag(tag, Token.Type.BLOCK_BEGIN, Token.Type.BLOCK_END);
            default -> tag(tag, Token.Type.VARIABLE_BEGIN, Token.Type.VARIABLE_END);
        }
    }

    private int nextTag() {
        for (int brace = source.indexOf('{', at);
                brace >= 0;
                brace = source.indexOf('{', brace + 1)) {
            if (brace + 1 < source.length() && "{%#".indexOf(source.charAt(brace + 1)) >= 0) {
                return brace;
            }
        }
        return source.length();
    }

    private String stripBefore(String text, char sign, boolean variable) {
        if (sign == '-') {
            return PyText.stripRight(text, null);
        }
        int line = text.lastIndexOf('\n') + 1;
        boolean indentation =
                line < text.length() && PyText.strip(text.substring(line), null).isEmpty();
        boolean strips =
                trims && sign != '+' && !variable && (line > 0 || lineStarting) && indentation;
        return strips ? text.substring(0, line) : text;
    }

    private void rawBlock(int start) {
        Matcher end = (trims ? TRIMMED_RAW_END : RAW_END).matcher(source);
        if (at == source.length()) {
            return; // as in Jinja2, where nothing at all follows
        }
        if (!end.find(at)) {
            throw syntax("Missing end of raw directive", start);
        }
        String sign = end.group(1);
        String kept =
                stripBefore(
                        source.substring(at, end.start()),
                        sign.isEmpty() ? ' ' : sign.charAt(0),
                        false);
        if (!kept.isEmpty()) {
            add(Token.Type.DATA, kept, at);
        }
        at = end.end();
        lineStarting = source.charAt(at - 1) == '\n';
    }

    private void comment(int start) {
        int end = source.indexOf("#}", at);
        if (end < 0 && at == source.length()) {
            return; // as in Jinja2, where nothing at all follows
        }
        if (end < 0) {
            throw syntax("Missing end of comment tag", start);
        }
        char sign = end > at ? source.charAt(end - 1) : ' ';
        at = end + 2;
        afterTag(sign, true);
    }

    /**
     * Drops what the end of a tag takes with it: all space after {@code -}, nothing after {@code
     * +}, one newline.
     */
    private void afterTag(char sign, boolean trimsNewline) {
        if (sign == '-') {
            while (at < source.length() && PyText.isSpace(source.charAt(at))) {
                at++;
            }
        } else if (trims
                && sign != '+'
                && trimsNewline
                && at < source.length()
                && source.charAt(at) == '\n') {
            at++;
        }
        lineStarting = source.charAt(at - 1) == '\n';
    }

    private void tag(int start, Token.Type begin, Token.Type end) {
        add(begin, "", start);
        boolean block = end == Token.Type.BLOCK_END;
        String closing = block ? "%}" : "}}";
        Deque<Character> open = new ArrayDeque<>();
        while (at < source.length()) {
            char c = source.charAt(at);
            boolean signed =
                    (c == '-' || (block && c == '+')) && source.startsWith(closing, at + 1);
            if (open.isEmpty() && (signed || source.startsWith(closing, at))) {
                add(end, "", at);
                at += signed ? 3 : 2;
                afterTag(signed ? c : ' ', block);
                return;
            }
            if (PyText.isSpace(c)) {
                at++;
            } else if (c == '\'' || c == '"') {
                string(c);
            } else if (!number() && !name()) {
                operator(open);
            }
        }
    }

    private boolean number() {
        Matcher matcher =
                FLOAT.matcher(source).useTransparentBounds(true).region(at, source.length());
        if (matcher.lookingAt()) {
            double value = Double.parseDouble(matcher.group().replace("_", ""));
            tokens.add(new Token(Token.Type.FLOAT, matcher.group(), value, at));
        } else if (matcher.usePattern(INTEGER).lookingAt()) {
            tokens.add(
                    new Token(Token.Type.INTEGER, matcher.group(), integer(matcher.group()), at));
        } else {
            return false;
        }
        at = matcher.end();
        return true;
    }

    private Object integer(String literal) {
        String digits = literal.replace("_", "");
        if (digits.length() > MAX_DIGITS) {
            throw syntax("integer of more than " + MAX_DIGITS + " digits", at);
        }
        int radix =
                switch (digits.length() > 1 ? Character.toLowerCase(digits.charAt(1)) : '0') {
                    case 'x' -> 16;
                    case 'o' -> 8;
                    case 'b' -> 2;
                    default -> 10;
                };
        return Numbers.of(new BigInteger(radix == 10 ? digits : digits.substring(2), radix));
    }

    private boolean name() {
        int end = at;
        while (end < source.length()) {
            int c = source.codePointAt(end);
            if (!Character.isLetterOrDigit(c)
                    && c != '_'
                    && Character.getType(c) != Character.NON_SPACING_MARK) {
                break;
            }
            end += Character.charCount(c);
        }
        if (end == at) {
            return false;
        }
        String name = source.substring(at, end);
        if (!Character.isUnicodeIdentifierStart(name.codePointAt(0)) && name.charAt(0) != '_') {
            throw syntax("Invalid character in identifier", at);
        }
        add(Token.Type.NAME, name, at);
        at = end;
        return true;
    }

    private void string(char quote) {
        int end = at + 1;
        while (end < source.length() && source.charAt(end) != quote) {
            end += source.charAt(end) == '\\' ? 2 : 1;
        }
        if (end >= source.length()) {
            throw syntax(
                    "unexpected char " + Printer.quote(String.valueOf(quote)) + " at " + at, at);
        }
        String body = source.substring(at + 1, end);
        String value = body.indexOf('\\') < 0 ? body : Escapes.decode(body, at);
        tokens.add(new Token(Token.Type.STRING, body, value, at));
        at = end + 1;
    }

    private void operator(Deque<Character> open) {
        for (String operator : OPERATORS) {
            if (source.startsWith(operator, at)) {
                balance(operator.charAt(0), open);
                add(Token.Type.OPERATOR, operator, at);
                at += operator.length();
                return;
            }
        }
        String found = Character.toString(source.codePointAt(at));
        throw syntax("unexpected char " + Printer.quote(found) + " at " + at, at);
    }

    private void balance(char c, Deque<Character> open) {
        switch (c) {
            case '{' -> open.push('}');
            case '(' -> open.push(')');
            case '[' -> open.push(']');
            case '}', ')', ']' -> {
                if (open.isEmpty()) {
                    throw syntax("unexpected '" + c + "'", at);
                }
                char expected = open.pop();
                if (expected != c) {
                    throw syntax("unexpected '" + c + "', expected '" + expected + "'", at);
                }
            }
            default -> {} // other operators do not nest
        }
    }
}
