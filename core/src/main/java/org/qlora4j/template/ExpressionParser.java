package org.qlora4j.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.template.Expr.Args;
import org.qlora4j.template.TemplateError.Kind;

/**
 * Tokens to expressions, with Jinja2's precedence: unlike Python's, {@code **} leans left and
 * {@code -} binds tighter.
 */
final class ExpressionParser {
    private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");
    private static final Map<String, Integer> POWERS =
            Map.of("+", 1, "-", 1, "~", 2, "*", 3, "/", 3, "//", 3, "%", 3, "**", 4);

    private final Tokens tokens;
    private final Syntax syntax;

    /** Filters and tests that nobody knows; an error unless a condition guards them. */
    private final List<TemplateError> unknown = new ArrayList<>();

    /** Names read so far: a macro asks which of its special names its body uses. */
    private final List<String> namesRead = new ArrayList<>();

    ExpressionParser(Tokens tokens, Syntax syntax) {
        this.tokens = tokens;
        this.syntax = syntax;
    }

    List<TemplateError> unknown() {
        return unknown;
    }

    List<String> namesRead() {
        return namesRead;
    }

    /**
     * An expression; with commas, a tuple.
     *
     * @param conditional whether {@code a if b} may stand there: not in a loop, whose filter begins
     *     with {@code if}
     */
    Expr tupleOrExpression(boolean conditional) {
        return tuple(conditional, false);
    }

    Expr expression() {
        return expression(true);
    }

    private Expr expression(boolean conditional) {
        tokens.enter();
        Expr parsed = conditional ? conditional() : or();
        tokens.leave();
        return parsed;
    }

    private Expr tuple(boolean conditional, boolean parenthesized) {
        List<Expr> items = new ArrayList<>();
        int at = tokens.at();
        boolean commas = false;
        while (!isTupleEnd()) {
            items.add(expression(conditional));
            if (!tokens.skipOperator(",")) {
                break;
            }
            commas = true;
        }
        if (!commas && items.size() == 1) {
            return items.get(0);
        }
        if (!commas && !parenthesized) {
            throw tokens.fail(
                    "Expected an expression, got " + Printer.quote(tokens.current().describe()));
        }
        return new Expr.TupleOf(at, items);
    }

    private boolean isTupleEnd() {
        Token token = tokens.current();
        return token.type() == Token.Type.VARIABLE_END
                || token.type() == Token.Type.BLOCK_END
                || token.isOperator(")");
    }

    /**
     * What an assignment writes to: a name, a tuple of targets, or a namespace's field where
     * allowed.
     */
    Expr target(boolean fields) {
        List<Expr> items = new ArrayList<>();
        int at = tokens.at();
        boolean commas = false;
        while (!isTupleEnd()) {
            boolean field = fields && tokens.is(Token.Type.NAME) && tokens.look().isOperator(".");
            items.add(checkTarget(field ? namespaceField() : primary()));
            if (!tokens.skipOperator(",")) {
                break;
            }
            commas = true;
        }
        if (items.isEmpty()) {
            throw tokens.fail(
                    "Expected an expression, got " + Printer.quote(tokens.current().describe()));
        }
        return commas ? new Expr.TupleOf(at, items) : items.get(0);
    }

    private Expr namespaceField() {
        Token name = tokens.take();
        tokens.take();
        return new Expr.NamespaceField(
                name.at(), name.text(), tokens.expect(Token.Type.NAME).text());
    }

    private Expr checkTarget(Expr target) {
        return switch (target) {
            case Expr.Name name -> {
                namesRead.removeLast(); // written, not read
                yield name;
            }
            case Expr.NamespaceField field -> field;
            case Expr.TupleOf tuple -> {
                tuple.items().reversed().forEach(this::checkTarget);
                yield tuple;
            }
            default -> throw tokens.fail("can't assign to '" + kindOf(target) + "'", target.at());
        };
    }

    private static String kindOf(Expr target) {
        String name = target instanceof Expr.Literal ? "const" : target.getClass().getSimpleName();
        return name.replace("Of", "").toLowerCase(java.util.Locale.ROOT);
    }

    String nameTarget() {
        Token token = tokens.expect(Token.Type.NAME);
        if (Set.of("true", "false", "none", "True", "False", "None").contains(token.text())) {
            throw tokens.fail("can't assign to 'const'", token.at());
        }
        return token.text();
    }

    private Expr conditional() {
        int unknownBefore = unknown.size();
        Expr value = or();
        while (tokens.isName("if")) {
            int at = tokens.take().at();
            Expr test = or();
            Expr otherwise = null;
            if (tokens.skipName("else")) {
                tokens.enter();
                otherwise = conditional();
                tokens.leave();
            }
            value = new Expr.Conditional(at, test, value, otherwise);
            unknown.subList(unknownBefore, unknown.size()).clear();
        }
        return value;
    }

    private Expr or() {
        Expr left = and();
        while (tokens.isName("or")) {
            left = new Expr.Logic(tokens.take().at(), false, left, and());
        }
        return left;
    }

    private Expr and() {
        Expr left = not();
        while (tokens.isName("and")) {
            left = new Expr.Logic(tokens.take().at(), true, left, not());
        }
        return left;
    }

    private Expr not() {
        if (!tokens.isName("not")) {
            return compare();
        }
        int at = tokens.take().at();
        tokens.enter();
        Expr operand = not();
        tokens.leave();
        return new Expr.Not(at, operand);
    }

    private Expr compare() {
        int at = tokens.at();
        Expr first = binary(1);
        List<Expr.Comparand> rest = new ArrayList<>();
        while (true) {
            Token token = tokens.current();
            if (token.type() == Token.Type.OPERATOR && COMPARISONS.contains(token.text())) {
                tokens.take();
                rest.add(new Expr.Comparand(token.text(), binary(1)));
            } else if (tokens.skipName("in")) {
                rest.add(new Expr.Comparand("in", binary(1)));
            } else if (tokens.isName("not") && tokens.look().isName("in")) {
                tokens.take();
                tokens.take();
                rest.add(new Expr.Comparand("not in", binary(1)));
            } else {
                return rest.isEmpty() ? first : new Expr.Compare(at, first, rest);
            }
        }
    }

    /** Precedence climbing over the operators that bind at least as tightly as {@code power}. */
    private Expr binary(int power) {
        Expr left = unary(true);
        while (tokens.is(Token.Type.OPERATOR)) {
            Token operator = tokens.current();
            int found = POWERS.getOrDefault(operator.text(), 0);
            if (found < power) {
                break;
            }
            tokens.take();
            if (operator.text().equals("~")) {
                List<Expr> parts = new ArrayList<>(List.of(left, binary(found + 1)));
                while (tokens.skipOperator("~")) {
                    parts.add(binary(found + 1));
                }
                left = new Expr.Concat(operator.at(), parts);
            } else {
                left = new Expr.Binary(operator.at(), operator.text(), left, binary(found + 1));
            }
        }
        return left;
    }

    private Expr unary(boolean filters) {
        Expr parsed;
        if (tokens.isOperator("-") || tokens.isOperator("+")) {
            Token sign = tokens.take();
            tokens.enter();
            parsed = new Expr.Sign(sign.at(), sign.isOperator("-"), unary(false));
            tokens.leave();
        } else {
            parsed = primary();
        }
        parsed = postfix(parsed);
        return filters ? filtersAndTests(parsed) : parsed;
    }

    private Expr primary() {
        Token token = tokens.take();
        return switch (token.type()) {
            case NAME -> nameOrConstant(token);
            case STRING -> {
                StringBuilder text = new StringBuilder((String) token.value());
                while (tokens.is(Token.Type.STRING)) {
                    text.append(tokens.take().value());
                }
                yield new Expr.Literal(token.at(), text.toString());
            }
            case INTEGER, FLOAT -> new Expr.Literal(token.at(), token.value());
            case OPERATOR -> bracketed(token);
            default ->
                    throw tokens.fail("unexpected " + Printer.quote(token.describe()), token.at());
        };
    }

    private Expr nameOrConstant(Token token) {
        return switch (token.text()) {
            case "true", "True" -> new Expr.Literal(token.at(), true);
            case "false", "False" -> new Expr.Literal(token.at(), false);
            case "none", "None" -> new Expr.Literal(token.at(), None.NONE);
            default -> {
                namesRead.add(token.text());
                yield new Expr.Name(token.at(), token.text());
            }
        };
    }

    private Expr bracketed(Token open) {
        return switch (open.text()) {
            case "(" -> {
                Expr inner = tuple(true, true);
                tokens.expectOperator(")");
                yield inner;
            }
            case "[" -> {
                List<Expr> items = new ArrayList<>();
                while (!tokens.isOperator("]")) {
                    items.add(expression());
                    if (!tokens.isOperator("]")) {
                        tokens.expectOperator(",");
                    }
                }
                tokens.take();
                yield new Expr.ListOf(open.at(), items);
            }
            case "{" -> {
                List<Expr> keys = new ArrayList<>();
                List<Expr> values = new ArrayList<>();
                while (!tokens.isOperator("}")) {
                    keys.add(expression());
                    tokens.expectOperator(":");
                    values.add(expression());
                    if (!tokens.isOperator("}")) {
                        tokens.expectOperator(",");
                    }
                }
                tokens.take();
                yield new Expr.DictOf(open.at(), keys, values);
            }
            default -> throw tokens.fail("unexpected " + Printer.quote(open.text()), open.at());
        };
    }

    private Expr postfix(Expr target) {
        Expr parsed = target;
        while (true) {
            int at = tokens.at();
            if (tokens.skipOperator(".")) {
                Token name = tokens.take();
                if (name.type() == Token.Type.NAME) {
                    parsed = new Expr.Attribute(at, parsed, name.text());
                } else if (name.type() == Token.Type.INTEGER) {
                    parsed =
                            new Expr.Subscript(
                                    at, parsed, new Expr.Literal(name.at(), name.value()));
                } else {
                    throw tokens.fail("expected name or number", name.at());
                }
            } else if (tokens.skipOperator("[")) {
                parsed = new Expr.Subscript(at, parsed, index(at));
            } else if (tokens.isOperator("(")) {
                parsed = new Expr.Call(at, parsed, arguments());
            } else {
                return parsed;
            }
        }
    }

    private Expr index(int at) {
        List<Expr> parts = new ArrayList<>();
        while (!tokens.isOperator("]")) {
            if (!parts.isEmpty()) {
                tokens.expectOperator(",");
            }
            parts.add(indexOrSlice());
        }
        tokens.take();
        return parts.size() == 1 ? parts.get(0) : new Expr.TupleOf(at, parts);
    }

    private Expr indexOrSlice() {
        int at = tokens.at();
        Expr start = tokens.isOperator(":") ? null : expression();
        if (!tokens.skipOperator(":")) {
            return java.util.Objects.requireNonNull(start);
        }
        Expr stop = isSliceEnd() || tokens.isOperator(":") ? null : expression();
        Expr step = tokens.skipOperator(":") && !isSliceEnd() ? expression() : null;
        return new Expr.Slice(at, start, stop, step);
    }

    private boolean isSliceEnd() {
        return tokens.isOperator("]") || tokens.isOperator(",");
    }

    private Expr filtersAndTests(Expr value) {
        Expr parsed = value;
        while (true) {
            if (tokens.isOperator("|")) {
                tokens.take();
                parsed = filter(parsed);
            } else if (tokens.isName("is")) {
                parsed = test(parsed);
            } else if (tokens.isOperator("(")) {
                parsed = new Expr.Call(tokens.at(), parsed, arguments());
            } else {
                return parsed;
            }
        }
    }

    /** A filter whose {@code |} was read; more may follow. */
    Expr.Filter filter(@Nullable Expr input) {
        int at = tokens.at();
        String name = dottedName();
        if (syntax.filter(name) == null) {
            unknown.add(
                    new TemplateError(
                            Kind.ASSERTION, "No filter named " + Printer.quote(name) + ".", at));
        }
        return new Expr.Filter(at, input, name, tokens.isOperator("(") ? arguments() : Args.NONE);
    }

    private Expr test(Expr value) {
        tokens.take();
        boolean negated = tokens.skipName("not");
        int at = tokens.at();
        String name = dottedName();
        if (!Predicates.ALL.containsKey(name)) {
            unknown.add(
                    new TemplateError(
                            Kind.ASSERTION, "No test named " + Printer.quote(name) + ".", at));
        }
        Args args = Args.NONE;
        if (tokens.isOperator("(")) {
            args = arguments();
        } else if (startsArgument(tokens.current())) {
            if (tokens.isName("is")) {
                throw tokens.fail("You cannot chain multiple tests with is");
            }
            args = new Args(List.of(postfix(primary())), List.of(), null, null);
        }
        Expr test = new Expr.Test(at, value, name, args);
        return negated ? new Expr.Not(at, test) : test;
    }

    private static boolean startsArgument(Token token) {
        return switch (token.type()) {
            case STRING, INTEGER, FLOAT -> true;
            case NAME -> !Set.of("else", "or", "and").contains(token.text());
            case OPERATOR -> token.isOperator("[") || token.isOperator("{");
            default -> false;
        };
    }

    private String dottedName() {
        StringBuilder name = new StringBuilder(tokens.expect(Token.Type.NAME).text());
        while (tokens.skipOperator(".")) {
            name.append('.').append(tokens.expect(Token.Type.NAME).text());
        }
        return name.toString();
    }

    private Args arguments() {
        int at = tokens.take().at();
        List<Expr> positional = new ArrayList<>();
        List<Expr.Keyword> named = new ArrayList<>();
        Expr star = null;
        Expr doubleStar = null;
        while (!tokens.isOperator(")")) {
            boolean valid = true;
            if (tokens.skipOperator("*")) {
                valid = star == null && doubleStar == null;
                star = expression();
            } else if (tokens.skipOperator("**")) {
                valid = doubleStar == null;
                doubleStar = expression();
            } else if (tokens.is(Token.Type.NAME) && tokens.look().isOperator("=")) {
                valid = doubleStar == null;
                String name = tokens.take().text();
                tokens.take();
                named.add(new Expr.Keyword(name, expression()));
            } else {
                valid = star == null && doubleStar == null && named.isEmpty();
                positional.add(expression());
            }
            if (!valid) {
                throw tokens.fail("invalid syntax for function call expression", at);
            }
            if (!tokens.isOperator(")")) {
                tokens.expectOperator(",");
            }
        }
        tokens.take();
        return new Args(positional, named, star, doubleStar);
    }
}
