package org.qlora4j.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.Map;
import org.qlora4j.template.Filters.Filter;
import org.qlora4j.template.TemplateError.Kind;

/** Filters that give numbers. */
final class NumberFilters {
    static final Map<String, Filter> ALL =
            Map.of(
                    "abs", NumberFilters::abs,
                    "int", NumberFilters::toInteger,
                    "float", NumberFilters::toReal,
                    "round", NumberFilters::round);

    private NumberFilters() {}

    private static Object abs(PythonRuntime runtime, Object value, Arguments arguments) {
        arguments.bind("abs");
        return switch (value) {
            case Undefined undefined ->
                    throw TemplateError.type("bad operand type for abs(): 'Undefined'");
            case Double d -> Math.abs(d);
            case Object n when Types.isNumber(n) -> Numbers.of(Numbers.integer(n).abs());
            default ->
                    throw TemplateError.type("bad operand type for abs(): '%s'", Types.name(value));
        };
    }

    private static Object toInteger(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a = arguments.bind("int", "default", 0L, "base", 10L);
        return switch (value) {
            case Undefined undefined -> throw undefined.error();
            case Double d -> d.isNaN() ? a[0] : Numbers.truncate(d);
            case String text -> {
                Object parsed = Numbers.parseInteger(text, Math.clamp(Numbers.index(a[1]), -1, 99));
                Double real = parsed == null ? Numbers.parseReal(text) : null;
                yield parsed != null
                        ? parsed
                        : real == null || !Double.isFinite(real) ? a[0] : Numbers.truncate(real);
            }
            default -> Types.isNumber(value) ? Numbers.of(Numbers.integer(value)) : a[0];
        };
    }

    private static Object toReal(PythonRuntime runtime, Object value, Arguments arguments) {
        Object fallback = arguments.bind("float", "default", 0.0)[0];
        return switch (value) {
            case Undefined undefined -> throw undefined.error();
            case String text -> {
                Double parsed = Numbers.parseReal(text);
                yield parsed == null ? fallback : parsed;
            }
            default -> Types.isNumber(value) ? (Object) Numbers.real(value) : fallback;
        };
    }

    private static Object round(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a = arguments.bind("round", "precision", 0L, "method", "common");
        int digits = Math.clamp(Numbers.index(a[0]), -5000, 5000);
        if (value instanceof Undefined undefined) {
            throw undefined.error();
        }
        if (!Types.isNumber(value)) {
            throw TemplateError.type("type %s doesn't define __round__ method", Types.name(value));
        }
        if (a[1].equals("common")) {
            return Numbers.round(value, digits);
        }
        RoundingMode mode =
                a[1].equals("ceil")
                        ? RoundingMode.CEILING
                        : a[1].equals("floor") ? RoundingMode.FLOOR : null;
        if (mode == null) {
            throw TemplateError.of(Kind.FILTER_ARGUMENT, "method must be common, ceil or floor");
        }
        double scale = Math.pow(10, digits);
        double scaled = Numbers.real(value) * scale;
        if (!Double.isFinite(scaled)) {
            throw TemplateError.of(Kind.OVERFLOW, "cannot convert float infinity to integer");
        }
        BigInteger whole = new BigDecimal(scaled).setScale(0, mode).toBigInteger();
        return whole.doubleValue() / scale;
    }
}
