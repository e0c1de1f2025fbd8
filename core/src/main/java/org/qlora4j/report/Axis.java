package org.qlora4j.report;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A linear axis with ticks at round numbers.
 *
 * @param from its low end
 * @param to its high end, above {@code from}
 * @param tick distance of two ticks: 1, 2 or 5 times a power of ten
 */
record Axis(double from, double to, double tick) {
    /**
     * An axis that spans two values.
     *
     * @param ticks about how many
     * @param whole whether only whole numbers may be ticks
     */
    static Axis spanning(double min, double max, int ticks, boolean whole) {
        double low = min;
        double high = max;
        if (!(high > low)) { // one value alone stands in the middle
            double around = low == 0 ? 1 : Math.abs(low) * 0.1;
            low -= around;
            high += around;
        }
        double raw = (high - low) / ticks;
        double power = Math.pow(10, Math.floor(Math.log10(raw)));
        double tick =
                power * (raw / power <= 1 ? 1 : raw / power <= 2 ? 2 : raw / power <= 5 ? 5 : 10);
        return new Axis(low, high, whole ? Math.max(1, tick) : tick);
    }

    /** As {@link #spanning}, with a little room at both ends; a sum of squares begins at 0. */
    static Axis around(double min, double max, int ticks) {
        if (min == max && min > 0) { // a constant, such as most learning rates
            return spanning(0, 1.25 * max, ticks, false);
        }
        double room = 0.04 * (max - min);
        double low = min >= 0 && min - room < 0.25 * (max - min) ? 0 : min - room;
        return spanning(low, max + room, ticks, false);
    }

    List<Double> ticks() {
        List<Double> out = new ArrayList<>();
        double first = Math.ceil(from / tick - 1e-9);
        for (double i = first; i * tick <= to + 1e-9 * (to - from); i++) {
            out.add(i * tick);
        }
        return out;
    }

    /** Where a value stands: 0 at the low end, 1 at the high one. */
    double share(double value) {
        return (value - from) / (to - from);
    }

    /** A tick as people write it: 0.002, 1.5, 2,000, 2e-5. */
    static String label(double value) {
        double magnitude = Math.abs(value);
        if (magnitude != 0 && magnitude < 1e-3) {
            return new BigDecimal(value)
                    .round(new MathContext(3))
                    .stripTrailingZeros()
                    .unscaledValue()
                    .toString()
                    .transform(digits -> exponent(digits, value));
        }
        if (magnitude >= 1000) {
            return String.format(Locale.ROOT, "%,.0f", value);
        }
        return new BigDecimal(value).round(new MathContext(4)).stripTrailingZeros().toPlainString();
    }

    private static String exponent(String digits, double value) {
        BigDecimal rounded = new BigDecimal(value).round(new MathContext(3)).stripTrailingZeros();
        String plain = digits.startsWith("-") ? digits.substring(1) : digits;
        String sign = digits.startsWith("-") ? "-" : "";
        String rest = plain.length() > 1 ? "." + plain.substring(1) : "";
        int power = rounded.precision() - rounded.scale() - 1;
        return sign + plain.charAt(0) + rest + "e" + power;
    }
}
