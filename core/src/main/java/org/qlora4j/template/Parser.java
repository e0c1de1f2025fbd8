package org.qlora4j.template;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.qlora4j.template.Statement.MacroBody;
import org.qlora4j.template.Statement.Parameter;

/**
 * Tokens to statements. One file is all a chat template is, so the tags that reach for others
 * ({@code extends}, {@code include}, {@code import}, {@code block}) are refused, and so is {@code
 * autoescape}: prompts are not HTML.
 */
final class Parser {
    private static final Set<String> OTHER_FILES =
            Set.of("extends", "include", "import", "from", "block", "autoescape");

    private final Tokens tokens;
    private final ExpressionParser expressions;
    private final boolean generationTags;
    private final Deque<String> openTags = new ArrayDeque<>();
    private final Deque<List<String>> endTags = new ArrayDeque<>();

    /**
     * Whether the innermost block around is an {@code if}: what it guards may name filters nobody
     * knows.
     */
    private boolean guarded = false;

    private int loops = 0;

    private Parser(List<Token> tokens, Syntax syntax) {
        this.tokens = new Tokens(tokens);
        this.expressions = new ExpressionParser(this.tokens, syntax);
        this.generationTags = syntax.generationTags();
    }

    /**
     * The statements of a template.
     *
     * @param normalized text as {@link Lexer#normalized} or {@link Lexer#withLineFeeds} makes it
     * @throws TemplateError if the text breaks the grammar
     */
    static List<Statement> parse(String normalized, Syntax syntax) {
        Parser parser = new Parser(Lexer.tokens(normalized, syntax.trims()), syntax);
        List<Statement> statements = parser.until(List.of());
        if (!parser.expressions.unknown().isEmpty()) {
            throw parser.expressions.unknown().getFirst();
        }
        return statements;
    }

    /**
     * Statements up to one of the end tags, whose name becomes the current token; without any, up
     * to the end.
     */
    private List<Statement> until(List<String> ends) {
        List<Statement> body = new ArrayList<>();
        if (!ends.isEmpty()) {
            endTags.push(ends);
        }
        while (!tokens.is(Token.Type.END)) {
            Token token = tokens.take();
            switch (token.type()) {
                case DATA -> body.add(new Statement.Text(token.at(), token.text()));
                case VARIABLE_BEGIN -> {
                    body.add(new Statement.Output(token.at(), expressions.tupleOrExpression(true)));
                    tokens.expect(Token.Type.VARIABLE_END);
                }
                default -> { // the lexer leaves only the start of a block
                    if (tokens.is(Token.Type.NAME) && ends.contains(tokens.current().text())) {
                        endTags.pop();
                        return body;
                    }
                    statement(body);
                    tokens.expect(Token.Type.BLOCK_END);
                }
            }
        }
        if (!ends.isEmpty()) {
            throw tokens.fail("Unexpected end of template." + lookingFor());
        }
        return body;
    }

    private List<Statement> body(boolean guards, String... ends) {
        tokens.skipOperator(":");
        tokens.expect(Token.Type.BLOCK_END);
        boolean guardedAround = guarded;
        guarded = guards;
        tokens.enter();
        List<Statement> statements = until(List.of(ends));
        tokens.leave();
        guarded = guardedAround;
        return statements;
    }

    /** The body of a block with one end tag, which is passed over. */
    private List<Statement> whole(String end) {
        List<Statement> statements = body(false, end);
        tokens.take();
        return statements;
    }

    private String lookingFor() {
        List<String> ends = endTags.peek();
        String message = "";
        if (ends != null) {
            String names = ends.stream().map(Printer::quote).collect(Collectors.joining(" or "));
            message = " Jinja was looking for the following tags: " + names + ".";
        }
        return openTags.isEmpty()
                ? message
                : message
                        + " The innermost block that needs to be closed is "
                        + Printer.quote(openTags.peek())
                        + ".";
    }

    private TemplateError unknownTag(Token tag) {
        boolean expectedOutside = endTags.stream().anyMatch(ends -> ends.contains(tag.text()));
        String message = "Encountered unknown tag " + Printer.quote(tag.text()) + ".";
        if (expectedOutside) {
            String names =
                    endTags.element().stream()
                            .map(Printer::quote)
                            .collect(Collectors.joining(" or "));
            message +=
                    " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for "
                            + names
                            + "."
                            + " The innermost block that needs to be closed is "
                            + Printer.quote(openTags.element())
                            + ".";
        } else {
            message += lookingFor();
        }
        return tokens.fail(message, tag.at());
    }

    private void statement(List<Statement> body) {
        if (!tokens.is(Token.Type.NAME)) {
            throw tokens.fail("tag name expected");
        }
        Token tag = tokens.current();
        int unknownBefore = expressions.unknown().size();
        boolean known =
                Set.of(
                                "if",
                                "for",
                                "set",
                                "with",
                                "macro",
                                "call",
                                "filter",
                                "print",
                                "break",
                                "continue")
                        .contains(tag.text());
        if (OTHER_FILES.contains(tag.text())) {
            throw tokens.fail("the tag '" + tag.text() + "' is not supported in a chat template");
        }
        if (!known && !(generationTags && tag.text().equals("generation"))) {
            throw unknownTag(tag);
        }
        tokens.take();
        openTags.push(tag.text());
        int at = tag.at();
        switch (tag.text()) {
            case "if" -> body.add(ifStatement(at));
            case "for" -> body.add(forStatement(at));
            case "set" -> body.add(setStatement(at));
            case "with" -> body.add(withStatement(at));
            case "macro" -> body.add(new Statement.MacroDefinition(at, macro()));
            case "call" -> body.add(callBlock(at));
            case "filter" ->
                    body.add(new Statement.FilterBlock(at, filterChain(), whole("endfilter")));
            case "print" -> printStatement(body);
            case "break" -> body.add(new Statement.Break(insideLoop(at, "break")));
            case "continue" -> body.add(new Statement.Continue(insideLoop(at, "continue")));
            default -> body.add(new Statement.Generation(at, whole("endgeneration")));
        }
        openTags.pop();
        if (guarded || tag.text().equals("if")) {
            List<TemplateError> unknown = expressions.unknown();
            unknown.subList(unknownBefore, unknown.size()).clear();
        }
    }

    private int insideLoop(int at, String tag) {
        if (loops == 0) {
            throw tokens.fail("'" + tag + "' outside loop", at);
        }
        return at;
    }

    private Statement ifStatement(int at) {
        List<Statement.Branch> branches = new ArrayList<>();
        while (true) {
            Expr test = expressions.tupleOrExpression(false);
            branches.add(new Statement.Branch(test, body(true, "elif", "else", "endif")));
            String end = tokens.take().text();
            if (end.equals("elif")) {
                continue;
            }
            List<Statement> otherwise = List.of();
            if (end.equals("else")) {
                otherwise = body(true, "endif");
                tokens.take();
            }
            return new Statement.If(at, branches, otherwise);
        }
    }

    private Statement forStatement(int at) {
        Expr target = expressions.target(false);
        if (target instanceof Expr.Name name && name.name().equals("loop")) {
            throw tokens.fail(
                    "Can't assign to special loop variable in for-loop target", name.at());
        }
        tokens.expectName("in");
        Expr items = expressions.tupleOrExpression(false);
        Expr test = tokens.skipName("if") ? expressions.expression() : null;
        boolean recursive = tokens.skipName("recursive");
        loops++;
        List<Statement> body = body(false, "endfor", "else");
        loops--;
        List<Statement> otherwise = List.of();
        if (tokens.take().text().equals("else")) {
            otherwise = whole("endfor");
        }
        return new Statement.For(at, target, items, test, recursive, body, otherwise);
    }

    private Statement setStatement(int at) {
        Expr target = expressions.target(true);
        if (tokens.skipOperator("=")) {
            return new Statement.Assign(at, target, expressions.tupleOrExpression(true));
        }
        Expr.Filter filter = tokens.skipOperator("|") ? filterChain() : null;
        return new Statement.AssignBlock(at, target, filter, whole("endset"));
    }

    private Expr.Filter filterChain() {
        Expr.Filter filter = expressions.filter(null);
        while (tokens.skipOperator("|")) {
            filter = expressions.filter(filter);
        }
        return filter;
    }

    private Statement withStatement(int at) {
        List<Expr> targets = new ArrayList<>();
        List<Expr> values = new ArrayList<>();
        while (!tokens.is(Token.Type.BLOCK_END)) {
            if (!targets.isEmpty()) {
                tokens.expectOperator(",");
            }
            targets.add(expressions.target(false));
            tokens.expectOperator("=");
            values.add(expressions.expression());
        }
        return new Statement.With(at, targets, values, whole("endwith"));
    }

    private void printStatement(List<Statement> body) {
        boolean first = true;
        while (!tokens.is(Token.Type.BLOCK_END)) {
            if (!first) {
                tokens.expectOperator(",");
            }
            first = false;
            body.add(new Statement.Output(tokens.at(), expressions.expression()));
        }
    }

    private MacroBody macro() {
        String name = expressions.nameTarget();
        int namesBefore = expressions.namesRead().size();
        return macroBody(name, signature(), namesBefore, "endmacro");
    }

    private Statement callBlock(int at) {
        int namesBefore = expressions.namesRead().size();
        List<Parameter> parameters = tokens.isOperator("(") ? signature() : List.of();
        Expr called = expressions.expression();
        if (!(called instanceof Expr.Call call)) {
            throw tokens.fail("expected call", at);
        }
        return new Statement.CallBlock(
                at, call, macroBody("caller", parameters, namesBefore, "endcall"));
    }

    private MacroBody macroBody(
            String name, List<Parameter> parameters, int namesBefore, String end) {
        int loopsAround = loops;
        loops = 0; // a macro's body cannot leave the loop around the macro
        List<Statement> body = whole(end);
        loops = loopsAround;
        List<String> read = expressions.namesRead();
        Set<String> names = Set.copyOf(read.subList(namesBefore, read.size()));
        return new MacroBody(
                name,
                parameters,
                body,
                names.contains("varargs"),
                names.contains("kwargs"),
                names.contains("caller"));
    }

    private List<Parameter> signature() {
        List<Parameter> parameters = new ArrayList<>();
        tokens.expectOperator("(");
        boolean defaults = false;
        while (!tokens.isOperator(")")) {
            if (!parameters.isEmpty()) {
                tokens.expectOperator(",");
            }
            String name = expressions.nameTarget();
            Expr fallback = tokens.skipOperator("=") ? expressions.expression() : null;
            if (fallback == null && defaults) {
                throw tokens.fail("non-default argument follows default argument");
            }
            defaults = fallback != null;
            parameters.add(new Parameter(name, fallback));
        }
        tokens.take();
        return parameters;
    }
}
