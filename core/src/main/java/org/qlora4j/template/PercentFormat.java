package org.qlora4j.template;

import java.util.List;
import java.util.Map;
import org.qlora4j.template.TemplateError.Kind;

/**
 * Python's {@code 'format' % values}: flags, width, precision and the types {@code s r a d i u f F
 * x X o c %}.
 */
final class PercentFormat {
    private final Budget budget;
    private final Printer printer;

    PercentFormat(Budget budget, Printer printer) {
        this.budget = budget;
        this.printer = printer;
    }

    /** Values are a tuple, a dictionary for named places, or one value. */
    String format(String format, Object values) {
        Budget.Text out = budget.newText();
        List<Object> items = values instanceof Tuple tuple ? tuple : List.of(values);
        int used = 0;
        int at = 0;
        while (true) {
            int percent = format.indexOf('%', at);
            if (percent < 0) {
                out.append(format.substring(at));
                break;
            }
            out.append(format.substring(at, percent));
            Place place = Place.parse(format, percent + 1);
            at = place.end();
            if (place.type() == '%') {
                out.append("%");
            } else if (place.key() != null) {
                out.append(one(place, named(values, place.key())));
                used = items.size();
            } else {
                if (used == items.size()) {
                    throw TemplateError.type("not enough arguments for format string");
                }
                out.append(one(place, items.get(used++)));
            }
        }
        boolean leftOver =
                used < items.size() && !(values instanceof Map) && !(isLoose(values) && used > 0);
        if (leftOver) {
            throw TemplateError.type("not all arguments converted during string formatting");
        }
        return out.toString();
    }

    private static boolean isLoose(Object values) {
        return values instanceof List && !(values instanceof Tuple);
    }

    private Object named(Object values, String key) {
        if (!(values instanceof Map<?, ?> map)) {
            throw TemplateError.type("format requires a mapping");
        }
        Object value = map.get(key);
        if (value == null) {
            throw TemplateError.of(Kind.KEY, "%s", Printer.quote(key));
        }
        return value;
    }

    private String one(Place place, Object value) {
        NumberFormat numbers = new NumberFormat(budget);
        String text =
                switch (place.type()) {
                    case 's' -> cut(printer.text(value), place);
                    case 'r', 'a' -> cut(printer.repr(value), place);
                    case 'c' -> value instanceof String s ? s : character(Numbers.index(value));
                    case 'd', 'i', 'u', 'x', 'X', 'o' -> {
                        if (!Types.isNumber(value)
                                || (place.type() != 'd' && isHexOfReal(place, value))) {
                            boolean hex = "xXo".indexOf(place.type()) >= 0;
                            throw TemplateError.type(
                                    "%%%s format: %s is required, not %s",
                                    place.type(),
                                    hex ? "an integer" : "a real number",
                                    Types.name(value));
                        }
                        Object whole = value instanceof Double d ? Numbers.truncate(d) : value;
                        yield numbers.integer(Numbers.integer(whole), place.type(), place.sign());
                    }
                    case 'f', 'F', 'e', 'E' -> {
                        if (!Types.isNumber(value)) {
                            throw TemplateError.type(
                                    "must be real number, not %s", Types.name(value));
                        }
                        int precision = place.precision() < 0 ? 6 : place.precision();
                        yield numbers.real(
                                Numbers.real(value), place.type(), precision, place.sign());
                    }
                    default ->
                            throw TemplateError.value(
                                    "unsupported format character '%s' (0x%x) at index %d",
                                    place.type(), (int) place.type(), place.end() - 1);
                };
        boolean zeros = place.zeros() && !place.left() && "sracSRA".indexOf(place.type()) < 0;
        return zeros
                ? numbers.zeroPad(text, place.width())
                : numbers.pad(text, place.width(), place.left());
    }

    private static boolean isHexOfReal(Place place, Object value) {
        return value instanceof Double && "xXo".indexOf(place.type()) >= 0;
    }

    private static String cut(String text, Place place) {
        boolean longer = place.precision() >= 0 && PyText.length(text) > place.precision();
        return longer ? text.substring(0, text.offsetByCodePoints(0, place.precision())) : text;
    }

    /** One place of a format: {@code %(key)-05.2f}. */
    private record Place(
            @org.jspecify.annotations.Nullable String key,
            boolean left,
            boolean zeros,
            char sign,
            int width,
            int precision,
            char type,
            int end) {
        static Place parse(String format, int start) {
            int at = start;
            String key = null;
            if (at < format.length() && format.charAt(at) == '(') {
                int close = format.indexOf(')', at);
                if (close < 0) {
                    throw TemplateError.value("incomplete format key");
                }
                key = format.substring(at + 1, close);
                at = close + 1;
            }
            String flags = "";
            while (at < format.length() && "-+ 0#".indexOf(format.charAt(at)) >= 0) {
                flags += format.charAt(at++);
            }
            int digits = at;
            while (at < format.length() && Character.isDigit(format.charAt(at))) {
                at++;
            }
            int width = NumberFormat.width(format.substring(digits, at), 0);
            int precision = -1;
            if (at < format.length() && format.charAt(at) == '.') {
                digits = ++at;
                while (at < format.length() && Character.isDigit(format.charAt(at))) {
                    at++;
                }
                precision = NumberFormat.width(format.substring(digits, at), 0);
            }
            if (at == format.length()) {
                throw TemplateError.value("incomplete format");
            }
            char sign = flags.contains("+") ? '+' : flags.contains(" ") ? ' ' : '-';
            boolean left = flags.contains("-");
            return new Place(
                    key,
                    left,
                    flags.contains("0"),
                    sign,
                    width,
                    precision,
                    format.charAt(at),
                    at + 1);
        }
    }

    /** The character of a code, as {@code %c} and {@code {:c}} write it. */
    static String character(long code) {
        if (code < 0 || code > Character.MAX_CODE_POINT) {
            throw TemplateError.of(TemplateError.Kind.OVERFLOW, "%%c arg not in range(0x110000)");
        }
        return Character.toString((int) code);
    }
}
