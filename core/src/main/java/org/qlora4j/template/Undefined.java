package org.qlora4j.template;

import org.qlora4j.template.TemplateError.Kind;

/**
 * What a name or attribute that does not exist stands for: prints as nothing, is false and empty,
 * equals only another of its kind; any other use throws {@link #error()}.
 *
 * @param kind of the error
 * @param message of the error, such as {@code 'x' is undefined}
 */
record Undefined(Kind kind, String message) {
    static Undefined name(String name) {
        return new Undefined(Kind.UNDEFINED, Printer.quote(name) + " is undefined");
    }

    static Undefined because(String hint) {
        return new Undefined(Kind.UNDEFINED, hint);
    }

    /** {@code target.key} or {@code target[key]} that is not there. */
    static Undefined member(Object target, Object key, Printer printer) {
        String owner = target == None.NONE ? "None" : Types.name(target) + " object";
        return because(
                key instanceof String name
                        ? "'" + owner + "' has no attribute " + Printer.quote(name)
                        : owner + " has no element " + printer.repr(key));
    }

    static Undefined unsafe(Object target, String name) {
        String of = "' of '" + Types.name(target) + "' object is unsafe.";
        return new Undefined(Kind.SECURITY, "access to attribute '" + name + of);
    }

    TemplateError error() {
        return new TemplateError(kind, message, -1);
    }
}
