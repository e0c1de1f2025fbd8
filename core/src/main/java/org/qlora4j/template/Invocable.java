package org.qlora4j.template;

/** Something a template can call: a global function, a method of a value, a macro, a loop. */
@FunctionalInterface
interface Invocable {
    Object call(Arguments arguments);

    /** Fields of the callable itself; most have none. */
    default Object field(String name) {
        return Undefined.because("'function object' has no attribute " + Printer.quote(name));
    }

    /** Its type in Python's words. */
    default String type() {
        return "function";
    }
}
