package org.qlora4j.template;

/** Python's operations as one rendering uses them: all count against the same budget. */
final class PythonRuntime {
    private final Syntax syntax;
    private final Budget budget = new Budget();
    private final Printer printer = new Printer(budget);
    private final Arithmetic arithmetic = new Arithmetic(budget, printer);
    private final Comparison comparison = new Comparison(budget);
    private final Access access = new Access(this);

    PythonRuntime(Syntax syntax) {
        this.syntax = syntax;
    }

    Syntax syntax() {
        return syntax;
    }

    /** A value that is about to be used; with {@code StrictUndefined} it must be defined. */
    Object used(Object value) {
        if (syntax.strict() && value instanceof Undefined undefined) {
            throw undefined.error();
        }
        return value;
    }

    /** Whether a value that is used counts as true. */
    boolean truth(Object value) {
        return Types.truth(used(value));
    }

    Budget budget() {
        return budget;
    }

    Printer printer() {
        return printer;
    }

    Arithmetic arithmetic() {
        return arithmetic;
    }

    Comparison comparison() {
        return comparison;
    }

    Access access() {
        return access;
    }
}
