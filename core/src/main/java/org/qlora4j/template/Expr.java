package org.qlora4j.template;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Expressions of a template; {@code at} is where the expression, or its operator, stands in the
 * text.
 */
sealed interface Expr {
    int at();

    /** A literal: None, Boolean, Long, BigInteger, Double or String. */
    record Literal(int at, Object value) implements Expr {}

    record Name(int at, String name) implements Expr {}

    /** {@code ns.name} on the left of an assignment. */
    record NamespaceField(int at, String name, String field) implements Expr {}

    /** {@code [a, b]}. */
    record ListOf(int at, List<Expr> items) implements Expr {}

    /** {@code (a, b)} or {@code a, b}. */
    record TupleOf(int at, List<Expr> items) implements Expr {}

    record DictOf(int at, List<Expr> keys, List<Expr> values) implements Expr {}

    /** {@code target.name}. */
    record Attribute(int at, Expr target, String name) implements Expr {}

    /** {@code target[index]}. */
    record Subscript(int at, Expr target, Expr index) implements Expr {}

    /** {@code start:stop:step}, as an index only. */
    record Slice(int at, @Nullable Expr start, @Nullable Expr stop, @Nullable Expr step)
            implements Expr {}

    record Call(int at, Expr target, Args args) implements Expr {}

    /**
     * {@code target|name(args)}; no target in {@code filter} and {@code set} blocks, where the body
     * is piped in.
     */
    record Filter(int at, @Nullable Expr target, String name, Args args) implements Expr {}

    /** {@code target is name(args)}. */
    record Test(int at, Expr target, String name, Args args) implements Expr {}

    record Not(int at, Expr operand) implements Expr {}

    /** {@code -x} or {@code +x}. */
    record Sign(int at, boolean negative, Expr operand) implements Expr {}

    /** {@code + - * / // % **}. */
    record Binary(int at, String operator, Expr left, Expr right) implements Expr {}

    /** {@code and}, {@code or}: the value of the operand that decided. */
    record Logic(int at, boolean and, Expr left, Expr right) implements Expr {}

    /** {@code a < b <= c}, {@code in} and {@code not in} among the operators. */
    record Compare(int at, Expr first, List<Comparand> rest) implements Expr {}

    /** {@code a ~ b ~ c}. */
    record Concat(int at, List<Expr> parts) implements Expr {}

    /** {@code then if test else otherwise}; undefined without an else. */
    record Conditional(int at, Expr test, Expr then, @Nullable Expr otherwise) implements Expr {}

    /** One operator of a comparison and what stands right of it. */
    record Comparand(String operator, Expr value) {}

    /** Arguments of a call as written. */
    record Args(
            List<Expr> positional,
            List<Keyword> named,
            @Nullable Expr star,
            @Nullable Expr doubleStar) {
        static final Args NONE = new Args(List.of(), List.of(), null, null);

        boolean isEmpty() {
            return positional.isEmpty() && named.isEmpty() && star == null && doubleStar == null;
        }
    }

    record Keyword(String name, Expr value) {}
}
