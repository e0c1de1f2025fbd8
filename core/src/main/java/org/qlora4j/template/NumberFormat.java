package org.qlora4j.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.Locale;

/** Numbers as the format strings of Python write them, and padding. */
final class NumberFormat {
    private static final int MAX_PRECISION = 1000;

    private final Budget budget;

    NumberFormat(Budget budget) {
        this.budget = budget;
    }

    /** A width or precision as written; the fallback where there is none. */
    static int width(String digits, int fallback) {
        if (digits.length() > 8) {
            throw TemplateError.value("width or precision too big");
        }
        return digits.isEmpty() ? fallback : Integer.parseInt(digits);
    }

    /**
     * Digits of an integer.
     *
     * @param type one of {@code d i u x X o b}
     * @param sign {@code +} or space to mark positive numbers, {@code -} not to
     */
    String integer(BigInteger value, char type, char sign) {
        int radix =
                switch (type) {
                    case 'x', 'X' -> 16;
                    case 'o' -> 8;
                    case 'b' -> 2;
                    default -> 10;
                };
        String digits = value.abs().toString(radix);
        return sign(value.signum() < 0, sign)
                + (type == 'X' ? digits.toUpperCase(Locale.ROOT) : digits);
    }

    /** A float with so many digits after the point; {@code type} is one of {@code f F e E}. */
    String real(double value, char type, int precision, char sign) {
        if (precision > MAX_PRECISION) {
            throw TemplateError.value("precision of more than %d digits", MAX_PRECISION);
        }
        boolean negative = value < 0 || (value == 0 && 1 / value < 0);
        String digits;
        if (!Double.isFinite(value)) {
            digits = Double.isNaN(value) ? "nan" : "inf";
        } else if (type == 'e' || type == 'E') {
            digits = scientific(new BigDecimal(Math.abs(value)), precision);
        } else {
            digits =
                    new BigDecimal(Math.abs(value))
                            .setScale(precision, RoundingMode.HALF_EVEN)
                            .toPlainString();
        }
        String text = Character.isUpperCase(type) ? digits.toUpperCase(Locale.ROOT) : digits;
        return sign(negative, sign) + text;
    }

    private static String scientific(BigDecimal value, int precision) {
        if (value.signum() == 0) {
            return new BigDecimal(0).setScale(precision).toPlainString() + "e+00";
        }
        BigDecimal rounded =
                value.round(new java.math.MathContext(precision + 1, RoundingMode.HALF_EVEN));
        int exponent = rounded.precision() - rounded.scale() - 1;
        String mantissa =
                rounded.movePointLeft(exponent)
                        .setScale(precision, RoundingMode.HALF_EVEN)
                        .toPlainString();
        return mantissa
                + "e"
                + (exponent < 0 ? "-" : "+")
                + (Math.abs(exponent) < 10 ? "0" : "")
                + Math.abs(exponent);
    }

    private static String sign(boolean negative, char sign) {
        return negative ? "-" : sign == '-' ? "" : String.valueOf(sign);
    }

    String pad(String text, int width, boolean left) {
        return StringMethods.justify(text, left ? "ljust" : "rjust", width, " ", budget);
    }

    /** Zeros between the sign and the digits. */
    String zeroPad(String text, int width) {
        boolean signed = !text.isEmpty() && "+- ".indexOf(text.charAt(0)) >= 0;
        String sign = signed ? text.substring(0, 1) : "";
        return sign
                + StringMethods.justify(
                        text.substring(sign.length()), "rjust", width - sign.length(), "0", budget);
    }
}
