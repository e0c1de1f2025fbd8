package org.qlora4j.template;

import java.math.BigDecimal;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

/** Values as Python's {@code str} and {@code repr} print them. */
final class Printer {
    private final Budget budget;

    Printer(Budget budget) {
        this.budget = budget;
    }

    /** {@code str(value)}: text as it is, undefined as nothing. */
    String text(Object value) {
        return switch (value) {
            case String s -> s;
            case Markup m -> m.text();
            case Undefined u -> "";
            default -> repr(value);
        };
    }

    /** {@code repr(value)}: text in quotes, containers with the repr of their items. */
    String repr(Object value) {
        Budget.Text out = budget.newText();
        repr(value, out, 0);
        return out.toString();
    }

    private void repr(Object value, Budget.Text out, int depth) {
        budget.valueDepth(depth);
        switch (value) {
            case None none -> out.append("None");
            case Boolean b -> out.append(b ? "True" : "False");
            case Double d -> out.append(number(d));
            case String s -> out.append(quote(s));
            case Markup m -> out.append("Markup(").append(quote(m.text())).append(")");
            case Range range -> out.append(range.repr());
            case Tuple t -> items(t, "(", t.size() == 1 ? ",)" : ")", out, depth);
            case List<?> list -> items(list, "[", "]", out, depth);
            case Map<?, ?> map -> entries(map, out, depth);
            case DictView view -> items(view.items(), view.type() + "([", "])", out, depth);
            case Undefined u -> out.append("Undefined");
            case Namespace ns -> {
                out.append("<Namespace ");
                entries(ns.fields(), out, depth);
                out.append(">");
            }
            case Lazy lazy -> out.append("<generator object>");
            case Invocable callable -> out.append("<" + callable.type() + ">");
            default -> out.append(value.toString()); // Long, BigInteger
        }
    }

    private void items(List<?> items, String open, String close, Budget.Text out, int depth) {
        out.append(open);
        String separator = "";
        for (Object item : items) {
            out.append(separator);
            repr(item, out, depth + 1);
            separator = ", ";
        }
        out.append(close);
    }

    private void entries(Map<?, ?> map, Budget.Text out, int depth) {
        out.append("{");
        Iterator<? extends Map.Entry<?, ?>> entries = map.entrySet().iterator();
        while (entries.hasNext()) {
            Map.Entry<?, ?> entry = entries.next();
            repr(entry.getKey(), out, depth + 1);
            out.append(": ");
            repr(entry.getValue(), out, depth + 1);
            out.append(entries.hasNext() ? ", " : "");
        }
        out.append("}");
    }

    /** {@code repr} of a text: single quotes, unless only they occur in it. */
    static String quote(String text) {
        char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
        StringBuilder out = new StringBuilder(text.length() + 2).append(quote);
        text.codePoints()
                .forEach(c -> {
                    switch (c) {
                        case '\n' -> out.append("\\n");
                        case '\r' -> out.append("\\r");
                        case '\t' -> out.append("\\t");
                        case '\\' -> out.append("\\\\");
                        default -> {
                            if (c == quote) {
                                out.append('\\').append(quote);
                            } else if (PyText.isPrintable(c)) {
                                out.appendCodePoint(c);
                            } else {
                                String format =
                                        c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x";
                                out.append(String.format(format, c));
                            }
                        }
                    }
                });
        return out.append(quote).toString();
    }

    /**
     * {@code repr} of a float: the shortest digits that read back the same, an exponent outside
     * 1e-4 to 1e16.
     */
    static String number(double value) {
        if (Double.isNaN(value)) {
            return "nan";
        }
        String sign = value < 0 || (value == 0 && 1 / value < 0) ? "-" : "";
        if (Double.isInfinite(value)) {
            return sign + "inf";
        }
        if (value == 0) {
            return sign + "0.0";
        }
        BigDecimal decimal = new BigDecimal(Double.toString(Math.abs(value))).stripTrailingZeros();
        String digits = decimal.unscaledValue().toString();
        int exponent = digits.length() - decimal.scale() - 1;
        if (exponent >= -4 && exponent < 16) {
            String plain = decimal.toPlainString();
            return sign + (plain.indexOf('.') < 0 ? plain + ".0" : plain);
        }
        String fraction = digits.length() > 1 ? "." + digits.substring(1) : "";
        String power =
                (exponent < 0 ? "-" : "+")
                        + (Math.abs(exponent) < 10 ? "0" : "")
                        + Math.abs(exponent);
        return sign + digits.charAt(0) + fraction + "e" + power;
    }
}
