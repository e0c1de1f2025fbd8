package org.qlora4j.template;

import java.util.List;
import org.qlora4j.template.TemplateError.Kind;

/** The parser's place in the tokens of a template. */
final class Tokens {
    /** Expressions and blocks inside one another; deeper ones would exhaust the thread's stack. */
    static final int MAX_NESTING = 100;

    private final List<Token> tokens;
    private int next = 0;
    private int depth = 0;

    Tokens(List<Token> tokens) {
        this.tokens = tokens;
    }

    Token current() {
        return tokens.get(next);
    }

    /** The token after the current one. */
    Token look() {
        return tokens.get(Math.min(next + 1, tokens.size() - 1));
    }

    int at() {
        return current().at();
    }

    boolean is(Token.Type type) {
        return current().type() == type;
    }

    boolean isName(String name) {
        return current().isName(name);
    }

    boolean isOperator(String operator) {
        return current().isOperator(operator);
    }

    /** The current token, passed over. */
    Token take() {
        Token token = current();
        if (token.type() != Token.Type.END) {
            next++;
        }
        return token;
    }

    boolean skipName(String name) {
        boolean found = isName(name);
        if (found) {
            take();
        }
        return found;
    }

    boolean skipOperator(String operator) {
        boolean found = isOperator(operator);
        if (found) {
            take();
        }
        return found;
    }

    Token expect(Token.Type type) {
        return is(type) ? take() : unexpected(type.label);
    }

    void expectOperator(String operator) {
        if (!skipOperator(operator)) {
            unexpected(operator);
        }
    }

    void expectName(String name) {
        if (!skipName(name)) {
            unexpected(name);
        }
    }

    private Token unexpected(String expected) {
        if (is(Token.Type.END)) {
            throw fail("unexpected end of template, expected '" + expected + "'.");
        }
        throw fail("expected token '" + expected + "', got " + Printer.quote(current().describe()));
    }

    /** A syntax error at the current token. */
    TemplateError fail(String message) {
        return fail(message, at());
    }

    TemplateError fail(String message, int place) {
        return new TemplateError(Kind.SYNTAX, message, place);
    }

    void enter() {
        if (++depth > MAX_NESTING) {
            throw new TemplateError(Kind.LIMIT, "nested more than " + MAX_NESTING + " deep", at());
        }
    }

    void leave() {
        depth--;
    }
}
