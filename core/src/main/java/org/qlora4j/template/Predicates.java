package org.qlora4j.template;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.qlora4j.template.TemplateError.Kind;

/** The tests of Jinja2: what may stand after {@code is}. */
final class Predicates {
    static final Map<String, Predicate> ALL = all();

    private Predicates() {}

    /**
     * One test: {@code value is name(other)}; {@code other} only where the test takes an argument.
     */
    @FunctionalInterface
    interface Predicate {
        boolean holds(PythonRuntime runtime, Object value, Object other);
    }

    private static Map<String, Predicate> all() {
        Map<String, Predicate> tests = new HashMap<>();
        tests.put("defined", (r, v, o) -> !(v instanceof Undefined));
        tests.put("undefined", (r, v, o) -> v instanceof Undefined);
        tests.put("none", (r, v, o) -> v == None.NONE);
        tests.put("boolean", (r, v, o) -> v instanceof Boolean);
        tests.put("true", (r, v, o) -> v.equals(true));
        tests.put("false", (r, v, o) -> v.equals(false));
        tests.put("integer", (r, v, o) -> Numbers.isInteger(v) && !(v instanceof Boolean));
        tests.put("float", (r, v, o) -> v instanceof Double);
        tests.put("number", (r, v, o) -> Types.isNumber(v));
        tests.put("string", (r, v, o) -> v instanceof String || v instanceof Markup);
        tests.put("mapping", (r, v, o) -> v instanceof Map);
        tests.put("iterable", (r, v, o) -> Types.isIterable(v));
        tests.put("sequence", (r, v, o) -> isSequence(v));
        tests.put("callable", (r, v, o) -> v instanceof Invocable || v instanceof Undefined);
        tests.put("escaped", (r, v, o) -> v instanceof Markup);
        tests.put("lower", (r, v, o) -> PyText.isAll(r.printer().text(v), false));
        tests.put("upper", (r, v, o) -> PyText.isAll(r.printer().text(v), true));
        tests.put("odd", (r, v, o) -> r.comparison().equal(r.arithmetic().binary("%", v, 2L), 1L));
        tests.put("even", (r, v, o) -> r.comparison().equal(r.arithmetic().binary("%", v, 2L), 0L));
        tests.put(
                "divisibleby",
                (r, v, o) -> r.comparison().equal(r.arithmetic().binary("%", v, o), 0L));
        tests.put("filter", (r, v, o) -> v instanceof String name && Filters.ALL.containsKey(name));
        tests.put("test", (r, v, o) -> v instanceof String name && tests.containsKey(name));
        tests.put("in", (r, v, o) -> r.comparison().contains(o, v));
        tests.put("sameas", (r, v, o) -> isSame(v, o));
        for (String name : List.of("==", "eq", "equalto")) {
            tests.put(name, (r, v, o) -> r.comparison().equal(v, o));
        }
        for (String name : List.of("!=", "ne")) {
            tests.put(name, (r, v, o) -> !r.comparison().equal(v, o));
        }
        putOrdered(tests, "<", "lt", "lessthan");
        putOrdered(tests, "<=", "le");
        putOrdered(tests, ">", "gt", "greaterthan");
        putOrdered(tests, ">=", "ge");
        return tests;
    }

    private static void putOrdered(Map<String, Predicate> tests, String operator, String... names) {
        Predicate ordered = (r, v, o) -> r.comparison().ordered(operator, v, o);
        tests.put(operator, ordered);
        for (String name : names) {
            tests.put(name, ordered);
        }
    }

    /** Whether the named test holds. */
    static boolean test(PythonRuntime runtime, String name, Object value, Arguments arguments) {
        Predicate test = ALL.get(name);
        if (test == null) {
            throw TemplateError.of(Kind.RUNTIME, "No test named %s.", Printer.quote(name));
        }
        if (!takesArgument(name)) {
            arguments.bind("test " + name);
            return test.holds(runtime, value, None.NONE);
        }
        String parameter = name.equals("divisibleby") ? "num" : name.equals("in") ? "seq" : "other";
        return test.holds(
                runtime, value, arguments.bind("test " + name, parameter, Arguments.REQUIRED)[0]);
    }

    private static boolean takesArgument(String name) {
        return switch (name) {
            case "in",
                    "sameas",
                    "divisibleby",
                    "==",
                    "eq",
                    "equalto",
                    "!=",
                    "ne",
                    "<",
                    "lt",
                    "lessthan",
                    "<=",
                    "le",
                    ">",
                    "gt",
                    "greaterthan",
                    ">=",
                    "ge" ->
                    true;
            default -> false;
        };
    }

    private static boolean isSequence(Object value) {
        return value instanceof String
                || value instanceof Markup
                || value instanceof List
                || value instanceof Map
                || value instanceof Undefined;
    }

    /**
     * Identity; numbers and text are one object in Java or two by chance, so equal ones of one type
     * count as one.
     */
    @SuppressWarnings("ReferenceEquality") // identity is what the test asks for
    private static boolean isSame(Object left, Object right) {
        boolean plain = left instanceof Number || left instanceof String || left instanceof Boolean;
        return left == right || (plain && left.equals(right));
    }
}
