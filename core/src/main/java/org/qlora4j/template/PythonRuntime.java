package org.qlora4j.template;

/** Python's operations as one rendering uses them: all count against the same budget. */
final class PythonRuntime {
    private final Budget budget = new Budget();
    private final Printer printer = new Printer(budget);
    private final Arithmetic arithmetic = new Arithmetic(budget, printer);
    private final Comparison comparison = new Comparison(budget);
    private final Access access = new Access(this);

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
