package org.qlora4j.template;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** Statements of a template; {@code at} is where the tag stands in the text. */
sealed interface Statement {
    int at();

    /** Text printed as it is. */
    record Text(int at, String text) implements Statement {}

    /** {@code {{ value }}}. */
    record Output(int at, Expr value) implements Statement {}

    record If(int at, List<Branch> branches, List<Statement> otherwise) implements Statement {}

    /** One {@code if} or {@code elif}. */
    record Branch(Expr test, List<Statement> body) {}

    /**
     * A loop.
     *
     * @param test items that fail it are passed over before the loop counts them
     * @param otherwise run when there was no item
     */
    record For(
            int at,
            Expr target,
            Expr items,
            @Nullable Expr test,
            boolean recursive,
            List<Statement> body,
            List<Statement> otherwise)
            implements Statement {}

    /** {@code {% set target = value %}}. */
    record Assign(int at, Expr target, Expr value) implements Statement {}

    /** {@code {% set target | filter %}body{% endset %}}. */
    record AssignBlock(int at, Expr target, Expr.@Nullable Filter filter, List<Statement> body)
            implements Statement {}

    /** {@code {% with a=1, b=2 %}}: values are computed outside the block. */
    record With(int at, List<Expr> targets, List<Expr> values, List<Statement> body)
            implements Statement {}

    /** {@code {% macro name(parameters) %}}. */
    record MacroDefinition(int at, MacroBody macro) implements Statement {}

    /**
     * What a macro, or the body of a {@code call} block, is made of.
     *
     * @param name as defined; {@code caller} for a call block
     * @param varargs whether the body reads {@code varargs}, and so takes more arguments than it
     *     names
     * @param kwargs whether the body reads {@code kwargs}
     * @param caller whether the body reads {@code caller}
     */
    record MacroBody(
            String name,
            List<Parameter> parameters,
            List<Statement> body,
            boolean varargs,
            boolean kwargs,
            boolean caller) {}

    /** A macro's parameter; the default is computed at each call. */
    record Parameter(String name, @Nullable Expr fallback) {}

    /** {@code {% call(parameters) macro() %}}. */
    record CallBlock(int at, Expr.Call call, MacroBody body) implements Statement {}

    /** {@code {% filter upper %}}. */
    record FilterBlock(int at, Expr.Filter filter, List<Statement> body) implements Statement {}

    /** {@code {% generation %}}: marks text that the assistant wrote. */
    record Generation(int at, List<Statement> body) implements Statement {}

    record Break(int at) implements Statement {}

    record Continue(int at) implements Statement {}
}
