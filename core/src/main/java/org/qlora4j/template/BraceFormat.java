package org.qlora4j.template;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.qlora4j.template.TemplateError.Kind;

/**
 * Python's {@code '{0.name!r:>8.3f}'.format(values)}. Fields reach only what the template itself
 * could.
 */
final class BraceFormat {
    private static final Pattern SPECIFICATION =
            Pattern.compile(
                    "(?:(.)?([<>=^]))?([-+ ])?(0)?(\\d+)?([,_])?(?:\\.(\\d+))?([a-zA-Z%])?",
                    Pattern.DOTALL);

    private final PythonRuntime runtime;
    private int automatic = 0;

    BraceFormat(PythonRuntime runtime) {
        this.runtime = runtime;
    }

    String format(String format, Arguments arguments) {
        Budget.Text out = runtime.budget().newText();
        int at = 0;
        while (at < format.length()) {
            char c = format.charAt(at);
            if (c != '{' && c != '}') {
                int end = at;
                while (end < format.length()
                        && format.charAt(end) != '{'
                        && format.charAt(end) != '}') {
                    end++;
                }
                out.append(format.substring(at, end));
                at = end;
            } else if (at + 1 < format.length() && format.charAt(at + 1) == c) {
                out.append(String.valueOf(c));
                at += 2;
            } else if (c == '}') {
                throw TemplateError.value("Single '}' encountered in format string");
            } else {
                int close = format.indexOf('}', at);
                if (close < 0) {
                    throw TemplateError.value("Single '{' encountered in format string");
                }
                out.append(field(format.substring(at + 1, close), arguments));
                at = close + 1;
            }
        }
        return out.toString();
    }

    private String field(String field, Arguments arguments) {
        if (field.indexOf('{') >= 0) {
            throw TemplateError.value("fields inside fields of a format string are not supported");
        }
        int colon = field.indexOf(':');
        String head = colon < 0 ? field : field.substring(0, colon);
        String specification = colon < 0 ? "" : field.substring(colon + 1);
        int mark = head.indexOf('!');
        Object value = value(mark < 0 ? head : head.substring(0, mark), arguments);
        String conversion = mark < 0 ? "" : head.substring(mark + 1);
        Object shown =
                switch (conversion) {
                    case "" -> value;
                    case "s" -> runtime.printer().text(value);
                    case "r" -> runtime.printer().repr(value);
                    default ->
                            throw TemplateError.value(
                                    "Unknown conversion specifier %s", conversion);
                };
        return specification.isEmpty()
                ? runtime.printer().text(shown)
                : specified(shown, specification);
    }

    private Object value(String path, Arguments arguments) {
        int end = 0;
        while (end < path.length() && path.charAt(end) != '.' && path.charAt(end) != '[') {
            end++;
        }
        Object value = first(path.substring(0, end), arguments);
        while (end < path.length()) {
            int start = end + 1;
            if (path.charAt(end) == '[') {
                int close = path.indexOf(']', start);
                if (close < 0) {
                    throw TemplateError.value("Missing ']' in format string");
                }
                String key = path.substring(start, close);
                value =
                        runtime.access()
                                .item(value, isIndex(key) ? (Object) Long.parseLong(key) : key);
                end = close + 1;
            } else {
                end = start;
                while (end < path.length() && path.charAt(end) != '.' && path.charAt(end) != '[') {
                    end++;
                }
                value = runtime.access().attribute(value, path.substring(start, end));
            }
        }
        return value;
    }

    private static boolean isIndex(String key) {
        return key.length() < 10 && key.matches("[0-9]+");
    }

    private Object first(String name, Arguments arguments) {
        if (!name.isEmpty() && !isIndex(name)) {
            Object value = arguments.named().get(name);
            if (value == null) {
                throw TemplateError.of(Kind.KEY, "%s", Printer.quote(name));
            }
            return value;
        }
        int index = name.isEmpty() ? automatic++ : Integer.parseInt(name);
        if (index >= arguments.positional().size()) {
            throw TemplateError.of(Kind.INDEX, "tuple index out of range");
        }
        return arguments.positional().get(index);
    }

    private String specified(Object value, String specification) {
        Matcher spec = SPECIFICATION.matcher(specification);
        if (!spec.matches()) {
            throw TemplateError.value("Invalid format specifier");
        }
        boolean number = Types.isNumber(value) && !(value instanceof Boolean);
        String type = spec.group(8) == null ? "" : spec.group(8);
        char sign = spec.group(3) == null ? '-' : spec.group(3).charAt(0);
        int precision = NumberFormat.width(spec.group(7) == null ? "" : spec.group(7), -1);
        String text;
        if (number) {
            text = number(value, type, precision, sign, spec.group(6));
        } else if ((type.isEmpty() || type.equals("s")) && value instanceof String s) {
            boolean cut = precision >= 0 && PyText.length(s) > precision;
            text = cut ? s.substring(0, s.offsetByCodePoints(0, precision)) : s;
        } else {
            throw TemplateError.type(
                    "unsupported format string passed to %s.__format__", Types.name(value));
        }
        int width = NumberFormat.width(spec.group(5) == null ? "" : spec.group(5), 0);
        String align = spec.group(2);
        if (align == null && spec.group(4) != null && number) {
            return new NumberFormat(runtime.budget()).zeroPad(text, width);
        }
        String fill = spec.group(1) != null ? spec.group(1) : spec.group(4) != null ? "0" : " ";
        String how = align == null ? (number ? ">" : "<") : align;
        return switch (how) {
            case "<" -> StringMethods.justify(text, "ljust", width, fill, runtime.budget());
            case ">" -> StringMethods.justify(text, "rjust", width, fill, runtime.budget());
            case "^" -> {
                int missing = Math.max(0, width - PyText.length(text));
                String left =
                        StringMethods.justify(
                                text, "rjust", width - (missing + 1) / 2, fill, runtime.budget());
                yield StringMethods.justify(left, "ljust", width, fill, runtime.budget());
            }
            default -> throw TemplateError.value("'=' alignment is not supported");
        };
    }

    private String number(Object value, String type, int precision, char sign, String grouping) {
        NumberFormat numbers = new NumberFormat(runtime.budget());
        if (type.equals("c") && Numbers.isInteger(value)) {
            return PercentFormat.character(Numbers.index(value));
        }
        String text =
                switch (type) {
                    case "" ->
                            value instanceof Double d && precision < 0
                                    ? (sign == '-' || d < 0 ? "" : sign) + Printer.number(d)
                                    : plain(value, precision, sign, numbers);
                    case "d", "x", "X", "o", "b" -> {
                        if (value instanceof Double) {
                            throw TemplateError.value(
                                    "Unknown format code '%s' for object of type 'float'", type);
                        }
                        yield numbers.integer(Numbers.integer(value), type.charAt(0), sign);
                    }
                    case "f", "F", "e", "E" ->
                            numbers.real(
                                    Numbers.real(value),
                                    type.charAt(0),
                                    precision < 0 ? 6 : precision,
                                    sign);
                    case "%" ->
                            numbers.real(
                                            Numbers.real(value) * 100,
                                            'f',
                                            precision < 0 ? 6 : precision,
                                            sign)
                                    + "%";
                    default ->
                            throw TemplateError.value(
                                    "Unknown format code '%s' for object of type '%s'",
                                    type, Types.name(value));
                };
        return grouping == null ? text : grouped(text, grouping);
    }

    private static String plain(Object value, int precision, char sign, NumberFormat numbers) {
        if (value instanceof Double || precision >= 0) {
            throw TemplateError.value("a precision needs the type 'f' in a format string");
        }
        return numbers.integer(Numbers.integer(value), 'd', sign);
    }

    private static String grouped(String text, String separator) {
        int start = !text.isEmpty() && !Character.isDigit(text.charAt(0)) ? 1 : 0;
        int end = start;
        while (end < text.length() && Character.isDigit(text.charAt(end))) {
            end++;
        }
        StringBuilder out = new StringBuilder(text);
        for (int i = end - 3; i > start; i -= 3) {
            out.insert(i, separator);
        }
        return out.toString();
    }
}
