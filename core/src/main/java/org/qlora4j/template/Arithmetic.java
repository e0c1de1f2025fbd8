package org.qlora4j.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.qlora4j.template.TemplateError.Kind;

/**
 * The operators {@code + - * / // % **} with Python's rules: floored division, integers of any
 * size.
 */
final class Arithmetic {
    private final Budget budget;
    private final Printer printer;

    Arithmetic(Budget budget, Printer printer) {
        this.budget = budget;
        this.printer = printer;
    }

    /**
     * The value of {@code left operator right}.
     *
     * @throws TemplateError if one side is undefined, the types do not go together, or a bound is
     *     passed
     */
    Object binary(String operator, Object left, Object right) {
        budget.work(1);
        if (operator.equals("%") && Markup.plain(left) instanceof String format) {
            return new PercentFormat(budget, printer).format(format, right);
        }
        if (left instanceof Undefined undefined) {
            throw undefined.error();
        }
        if (right instanceof Undefined undefined) {
            throw undefined.error();
        }
        if (Types.isNumber(left) && Types.isNumber(right)) {
            return left instanceof Double || right instanceof Double
                    ? reals(operator, Numbers.real(left), Numbers.real(right))
                    : integers(operator, left, right);
        }
        return switch (operator) {
            case "+" -> concatenate(left, right);
            case "*" -> Numbers.isInteger(left) ? repeat(right, left) : repeat(left, right);
            default -> throw mismatch(operator, left, right);
        };
    }

    Object negate(Object value) {
        return switch (value) {
            case Undefined undefined -> throw undefined.error();
            case Double d -> -d;
            case Object n when Types.isNumber(n) -> Numbers.of(Numbers.integer(n).negate());
            default ->
                    throw TemplateError.type(
                            "bad operand type for unary -: '%s'", Types.name(value));
        };
    }

    Object plus(Object value) {
        return switch (value) {
            case Undefined undefined -> throw undefined.error();
            case Double d -> d;
            case Object n when Types.isNumber(n) -> Numbers.of(Numbers.integer(n));
            default ->
                    throw TemplateError.type(
                            "bad operand type for unary +: '%s'", Types.name(value));
        };
    }

    private Object integers(String operator, Object left, Object right) {
        if (left instanceof Long a
                && right instanceof Long b
                && Math.abs(a) < 1 << 30
                && Math.abs(b) < 1 << 30) {
            switch (operator) { // the usual case, without big numbers
                case "+" -> {
                    return a + b;
                }
                case "-" -> {
                    return a - b;
                }
                case "*" -> {
                    return a * b;
                }
                default -> {} // below
            }
        }
        BigInteger a = Numbers.integer(left);
        BigInteger b = Numbers.integer(right);
        return switch (operator) {
            case "+" -> checked(a.add(b));
            case "-" -> checked(a.subtract(b));
            case "*" -> checked(a.multiply(b));
            case "**" -> power(a, b);
            case "/" -> divide(a, b);
            case "//" -> Numbers.of(floorDivide(a, b, "integer division or modulo by zero"));
            case "%" ->
                    Numbers.of(a.subtract(floorDivide(a, b, "integer modulo by zero").multiply(b)));
            default -> throw new IllegalStateException(operator);
        };
    }

    private Object checked(BigInteger value) {
        budget.bits(value.bitLength());
        return Numbers.of(value);
    }

    private Object power(BigInteger base, BigInteger exponent) {
        if (exponent.signum() < 0) {
            if (base.signum() == 0) {
                throw TemplateError.of(
                        Kind.ZERO_DIVISION, "0.0 cannot be raised to a negative power");
            }
            return Math.pow(base.doubleValue(), exponent.doubleValue());
        }
        if (base.bitLength() > 1) {
            budget.bits(
                    exponent.bitLength() > 31
                            ? Long.MAX_VALUE
                            : (base.bitLength() - 1L) * exponent.longValue());
        } else {
            exponent =
                    exponent.min(
                            exponent.testBit(0) ? BigInteger.ONE : BigInteger.TWO); // of -1, 0, 1
        }
        return checked(base.pow(exponent.intValueExact()));
    }

    private static double divide(BigInteger a, BigInteger b) {
        if (b.signum() == 0) {
            throw TemplateError.of(Kind.ZERO_DIVISION, "division by zero");
        }
        double quotient =
                a.bitLength() <= 53 && b.bitLength() <= 53
                        ? a.doubleValue() / b.doubleValue()
                        : new BigDecimal(a)
                                .divide(new BigDecimal(b), new MathContext(60))
                                .doubleValue();
        if (Double.isInfinite(quotient)) {
            throw TemplateError.of(Kind.OVERFLOW, "integer division result too large for a float");
        }
        return quotient;
    }

    private static BigInteger floorDivide(BigInteger a, BigInteger b, String problem) {
        if (b.signum() == 0) {
            throw TemplateError.of(Kind.ZERO_DIVISION, problem);
        }
        BigInteger[] parts = a.divideAndRemainder(b);
        boolean below = parts[1].signum() != 0 && parts[1].signum() != b.signum();
        return below ? parts[0].subtract(BigInteger.ONE) : parts[0];
    }

    private static Object reals(String operator, double a, double b) {
        if (b == 0 && (operator.equals("/") || operator.equals("//") || operator.equals("%"))) {
            String problem =
                    switch (operator) {
                        case "/" -> "float division by zero";
                        case "//" -> "float floor division by zero";
                        default -> "float modulo";
                    };
            throw TemplateError.of(Kind.ZERO_DIVISION, problem);
        }
        return switch (operator) {
            case "+" -> a + b;
            case "-" -> a - b;
            case "*" -> a * b;
            case "/" -> a / b;
            case "//" -> Math.floor((a - modulo(a, b)) / b + 0.5);
            case "%" -> modulo(a, b);
            case "**" -> realPower(a, b);
            default -> throw new IllegalStateException(operator);
        };
    }

    private static double modulo(double a, double b) {
        double remainder = a % b;
        if (remainder != 0 && (remainder < 0) != (b < 0)) {
            return remainder + b;
        }
        return remainder == 0 ? Math.copySign(0.0, b) : remainder;
    }

    private static double realPower(double base, double exponent) {
        double power = Math.pow(base, exponent);
        if (base == 0 && exponent < 0) {
            throw TemplateError.of(Kind.ZERO_DIVISION, "0.0 cannot be raised to a negative power");
        }
        if (base < 0 && Double.isNaN(power)) {
            throw TemplateError.value(
                    "a negative number to a fractional power is complex, which is not supported");
        }
        if (Double.isInfinite(power) && Double.isFinite(base) && Double.isFinite(exponent)) {
            throw TemplateError.of(Kind.OVERFLOW, "(34, 'Numerical result out of range')");
        }
        return power;
    }

    private Object concatenate(Object left, Object right) {
        boolean text = left instanceof String || left instanceof Markup;
        if (text && (right instanceof String || right instanceof Markup)) {
            boolean marked = left instanceof Markup || right instanceof Markup;
            String l = marked ? Markup.escape(left, printer).text() : (String) left;
            String r = marked ? Markup.escape(right, printer).text() : (String) right;
            budget.text((long) l.length() + r.length());
            return marked ? new Markup(l + r) : l + r;
        }
        boolean tuples = left instanceof Tuple && right instanceof Tuple;
        if (tuples || (isPlainList(left) && isPlainList(right))) {
            budget.items((long) Types.list(left).size() + Types.list(right).size());
            List<Object> joined = new ArrayList<>(Types.list(left));
            joined.addAll(Types.list(right));
            return tuples ? Tuple.copyOf(joined) : joined;
        }
        if (text || isPlainList(left) || left instanceof Tuple) {
            String type = Types.name(left);
            String join = text ? "str" : type;
            throw TemplateError.type(
                    "can only concatenate %s (not \"%s\") to %s", join, Types.name(right), join);
        }
        throw mismatch("+", left, right);
    }

    private static boolean isPlainList(Object value) {
        return value instanceof List && !(value instanceof Tuple) && !(value instanceof Range);
    }

    private static boolean isSequence(Object value) {
        return value instanceof String || value instanceof Tuple || isPlainList(value);
    }

    private Object repeat(Object value, Object times) {
        if (!isSequence(value) && isSequence(times)) {
            throw TemplateError.type(
                    "can't multiply sequence by non-int of type '%s'", Types.name(value));
        }
        if (!isSequence(value)) {
            throw Numbers.isInteger(times)
                    ? mismatch("*", value, times)
                    : mismatch("*", times, value);
        }
        if (!Numbers.isInteger(times)) {
            throw TemplateError.type(
                    "can't multiply sequence by non-int of type '%s'", Types.name(times));
        }
        long count = Math.max(0, Math.min(Numbers.index(times), Integer.MAX_VALUE));
        if (value instanceof String text) {
            return budget.newText().appendRepeated(text, count).toString();
        }
        List<Object> items = Types.list(value);
        budget.items(items.size() * count);
        List<Object> repeated = new ArrayList<>();
        for (long i = 0; i < count && !items.isEmpty(); i++) {
            repeated.addAll(items);
        }
        return value instanceof Tuple ? Tuple.copyOf(repeated) : repeated;
    }

    private static TemplateError mismatch(String operator, Object left, Object right) {
        String shown = operator.equals("**") ? "** or pow()" : operator;
        return TemplateError.type(
                "%s",
                String.format(
                        Locale.ROOT,
                        "unsupported operand type(s) for %s: '%s' and '%s'",
                        shown,
                        Types.name(left),
                        Types.name(right)));
    }
}
