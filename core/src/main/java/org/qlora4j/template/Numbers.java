package org.qlora4j.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import org.jspecify.annotations.Nullable;
import org.qlora4j.template.TemplateError.Kind;

/** Python's integers, of any size, and floats. Integers that fit are Long, others BigInteger. */
final class Numbers {
    private static final BigInteger MIN = BigInteger.valueOf(Long.MIN_VALUE);
    private static final BigInteger MAX = BigInteger.valueOf(Long.MAX_VALUE);

    private Numbers() {}

    /** The integer, as Long if it fits. */
    static Object of(BigInteger value) {
        boolean fits = value.compareTo(MIN) >= 0 && value.compareTo(MAX) <= 0;
        return fits ? (Object) value.longValue() : value;
    }

    static boolean isInteger(Object value) {
        return value instanceof Long || value instanceof BigInteger || value instanceof Boolean;
    }

    /** An integer or boolean as BigInteger. */
    static BigInteger integer(Object value) {
        return switch (value) {
            case Long n -> BigInteger.valueOf(n);
            case BigInteger n -> n;
            case Boolean b -> b ? BigInteger.ONE : BigInteger.ZERO;
            default ->
                    throw TemplateError.type(
                            "'%s' object cannot be interpreted as an integer", Types.name(value));
        };
    }

    /** A number as float. */
    static double real(Object value) {
        if (value instanceof Double d) {
            return d;
        }
        double d = integer(value).doubleValue();
        if (Double.isInfinite(d)) {
            throw TemplateError.of(Kind.OVERFLOW, "int too large to convert to float");
        }
        return d;
    }

    /** An integer argument such as a width or an index, cut to what a long holds. */
    static long index(Object value) {
        if (value instanceof Undefined undefined) {
            throw undefined.error();
        }
        return integer(value).max(MIN).min(MAX).longValue();
    }

    /** Three-way comparison of two numbers, exact for any size; null if one is not a number. */
    static @Nullable Integer compare(Object left, Object right) {
        if (left instanceof Double || right instanceof Double) {
            double l = left instanceof Double d ? d : 0;
            double r = right instanceof Double d ? d : 0;
            if (Double.isNaN(l) || Double.isNaN(r)) {
                return null;
            }
            if (Double.isInfinite(l) || Double.isInfinite(r)) {
                return Double.compare(Double.isInfinite(l) ? l : 0, Double.isInfinite(r) ? r : 0);
            }
            return decimal(left).compareTo(decimal(right));
        }
        return integer(left).compareTo(integer(right));
    }

    private static BigDecimal decimal(Object value) {
        return value instanceof Double d ? new BigDecimal(d) : new BigDecimal(integer(value));
    }

    /**
     * Python's {@code int(text, base)}, or null for text that is no integer: space around, one
     * sign, underscores between digits; a prefix such as {@code 0x} only where the base allows it.
     */
    static @Nullable Object parseInteger(String text, int base) {
        String digits = PyText.strip(text, null);
        boolean negative = digits.startsWith("-");
        if (negative || digits.startsWith("+")) {
            digits = digits.substring(1);
        }
        String prefix =
                digits.length() > 1
                        ? digits.substring(0, 2).toLowerCase(java.util.Locale.ROOT)
                        : "";
        int prefixed =
                prefix.equals("0x") ? 16 : prefix.equals("0o") ? 8 : prefix.equals("0b") ? 2 : 0;
        int radix = base == 0 ? (prefixed == 0 ? 10 : prefixed) : base;
        if (prefixed == radix) {
            digits = digits.substring(2);
            digits = digits.startsWith("_") ? digits.substring(1) : digits;
        }
        boolean underscores =
                digits.startsWith("_") || digits.endsWith("_") || digits.contains("__");
        digits = digits.replace("_", "");
        if (underscores || digits.isEmpty() || digits.length() > 4300 || radix < 2 || radix > 36) {
            return null;
        }
        for (int i = 0; i < digits.length(); i++) {
            if (Character.digit(digits.charAt(i), radix) < 0) {
                return null;
            }
        }
        BigInteger value = new BigInteger(digits, radix);
        return of(negative ? value.negate() : value);
    }

    /** Python's {@code float(text)}, or null for text that is no number. */
    static @Nullable Double parseReal(String text) {
        String number = PyText.strip(text, null).toLowerCase(java.util.Locale.ROOT);
        if (number.matches("[+-]?(inf|infinity)")) {
            return number.startsWith("-") ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY;
        }
        if (number.matches("[+-]?nan")) {
            return Double.NaN;
        }
        String digits = "\\d++(_\\d++)*+";
        if (number.length() > 4300
                || !number.matches(
                        "[+-]?("
                                + digits
                                + "(\\.("
                                + digits
                                + ")?)?|\\."
                                + digits
                                + ")(e[+-]?"
                                + digits
                                + ")?")) {
            return null;
        }
        return Double.valueOf(number.replace("_", ""));
    }

    /** Python's {@code int(value)} of a float: its whole part. */
    static Object truncate(double value) {
        if (Double.isNaN(value)) {
            throw TemplateError.value("cannot convert float NaN to integer");
        }
        if (Double.isInfinite(value)) {
            throw TemplateError.of(Kind.OVERFLOW, "cannot convert float infinity to integer");
        }
        return of(new BigDecimal(value).toBigInteger());
    }

    /**
     * Python's {@code round(value, digits)}: halves go to the even digit, judged on the exact
     * value.
     */
    static Object round(Object value, int digits) {
        if (value instanceof Double d) {
            if (!Double.isFinite(d) || digits > 400) {
                return d;
            }
            double rounded =
                    new BigDecimal(d)
                            .setScale(Math.max(digits, -400), RoundingMode.HALF_EVEN)
                            .doubleValue();
            return Math.copySign(rounded, d);
        }
        if (digits >= 0) {
            return of(integer(value));
        }
        BigDecimal whole = new BigDecimal(integer(value));
        return of(whole.setScale(Math.max(digits, -5000), RoundingMode.HALF_EVEN).toBigInteger());
    }
}
