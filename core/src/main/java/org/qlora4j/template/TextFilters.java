package org.qlora4j.template;

import java.util.List;
import java.util.Map;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.Filters.Filter;
import org.qlora4j.template.TemplateError.Kind;

/** Filters that give text. */
final class TextFilters {
    static final Map<String, Filter> ALL =
            Map.ofEntries(
                    Map.entry(
                            "capitalize",
                            (r, v, a) -> PyText.capitalize(only(r, v, a, "capitalize"))),
                    Map.entry("lower", (r, v, a) -> PyText.lower(only(r, v, a, "lower"))),
                    Map.entry("upper", (r, v, a) -> PyText.upper(only(r, v, a, "upper"))),
                    Map.entry("title", (r, v, a) -> title(only(r, v, a, "title"))),
                    Map.entry("string", (r, v, a) -> string(r, v, a)),
                    Map.entry("safe", (r, v, a) -> new Markup(only(r, v, a, "safe"))),
                    Map.entry("escape", (r, v, a) -> escape(r, v, a)),
                    Map.entry("e", (r, v, a) -> escape(r, v, a)),
                    Map.entry(
                            "forceescape",
                            (r, v, a) -> Markup.escape(only(r, v, a, "forceescape"), r.printer())),
                    Map.entry("trim", TextFilters::trim),
                    Map.entry("replace", TextFilters::replace),
                    Map.entry("center", TextFilters::center),
                    Map.entry("indent", TextFilters::indent),
                    Map.entry("truncate", TextFilters::truncate),
                    Map.entry("format", TextFilters::format),
                    Map.entry("wordcount", (r, v, a) -> wordCount(only(r, v, a, "wordcount"))),
                    Map.entry("tojson", (r, v, a) -> JsonPrinter.filter(v, a, r.budget())));

    private TextFilters() {}

    /** {@code regex_replace(pattern, repl, count=0)}: Python's {@code re.sub}. */
    static Object regexReplace(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a =
                arguments.bind(
                        "regex_replace",
                        "pattern",
                        Arguments.REQUIRED,
                        "repl",
                        Arguments.REQUIRED,
                        "count",
                        0L);
        String text = StringMethods.string("regex_replace", value);
        String pattern = StringMethods.string("regex_replace", a[0]);
        String replacement = StringMethods.string("regex_replace", a[1]);
        int count = (int) Math.min(Integer.MAX_VALUE, Numbers.index(a[2]));
        runtime.budget().workOn(pattern); // which is read first
        String out;
        try {
            out =
                    PythonRegex.of(pattern)
                            .replace(
                                    text,
                                    replacement,
                                    count,
                                    looks -> runtime.budget().work(looks));
        } catch (FormatException e) { // so that the template's line is told
            throw TemplateError.of(TemplateError.Kind.VALUE, "%s", String.valueOf(e.getMessage()));
        }
        runtime.budget().text(out.length());
        return out;
    }

    private static String only(
            PythonRuntime runtime, Object value, Arguments arguments, String name) {
        arguments.bind(name);
        return runtime.printer().text(value);
    }

    private static Object string(PythonRuntime runtime, Object value, Arguments arguments) {
        return value instanceof Markup ? value : only(runtime, value, arguments, "string");
    }

    private static Object escape(PythonRuntime runtime, Object value, Arguments arguments) {
        arguments.bind("escape");
        return Markup.escape(value, runtime.printer());
    }

    /**
     * Words begin after space, hyphens and opening brackets; unlike {@code str.title}, not after
     * apostrophes.
     */
    private static String title(String text) {
        StringBuilder out = new StringBuilder(text.length());
        boolean starts = true;
        for (int i = 0; i < text.length(); ) {
            String c = Character.toString(text.codePointAt(i));
            i += c.length();
            boolean separates = PyText.isSpace(c.codePointAt(0)) || "-({[<".contains(c);
            out.append(separates ? c : starts ? PyText.upper(c) : PyText.lower(c));
            starts = separates;
        }
        return out.toString();
    }

    private static Object trim(PythonRuntime runtime, Object value, Arguments arguments) {
        Object characters = arguments.bind("trim", "chars", None.NONE)[0];
        String text = runtime.printer().text(value);
        return PyText.strip(
                text, characters == None.NONE ? null : StringMethods.string("strip", characters));
    }

    private static Object replace(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a =
                arguments.bind(
                        "replace",
                        "old",
                        Arguments.REQUIRED,
                        "new",
                        Arguments.REQUIRED,
                        "count",
                        None.NONE);
        Printer printer = runtime.printer();
        long count = a[2] == None.NONE ? -1 : Numbers.index(a[2]);
        return StringMethods.replace(
                printer.text(value),
                printer.text(a[0]),
                printer.text(a[1]),
                count,
                runtime.budget());
    }

    private static Object center(PythonRuntime runtime, Object value, Arguments arguments) {
        long width = Numbers.index(arguments.bind("center", "width", 80L)[0]);
        return StringMethods.justify(
                runtime.printer().text(value), "center", width, " ", runtime.budget());
    }

    private static Object indent(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a = arguments.bind("indent", "width", 4L, "first", false, "blank", false);
        if (!(value instanceof String text)) {
            runtime.arithmetic().binary("+", value, "\n"); // throws what Python throws here
            throw TemplateError.type("indent() needs text, not %s", Types.name(value));
        }
        Budget budget = runtime.budget();
        String margin =
                a[0] instanceof String given
                        ? given
                        : budget.newText().appendRepeated(" ", Numbers.index(a[0])).toString();
        List<String> lines = PyText.splitLines(text + "\n", false);
        Budget.Text out = budget.newText();
        for (int i = 0; i < lines.size(); i++) {
            boolean margined =
                    i == 0 ? Types.truth(a[1]) : Types.truth(a[2]) || !lines.get(i).isEmpty();
            out.append(i == 0 ? "" : "\n").append(margined ? margin : "").append(lines.get(i));
        }
        return out.toString();
    }

    private static Object truncate(PythonRuntime runtime, Object value, Arguments arguments) {
        Object[] a =
                arguments.bind(
                        "truncate",
                        "length",
                        255L,
                        "killwords",
                        false,
                        "end",
                        "...",
                        "leeway",
                        None.NONE);
        String text = StringMethods.string("truncate", value);
        String end = StringMethods.string("truncate", a[2]);
        long length = Numbers.index(a[0]);
        long leeway = a[3] == None.NONE ? 5 : Numbers.index(a[3]);
        int room = (int) Math.min(length - PyText.length(end), Integer.MAX_VALUE);
        if (room < 0 || leeway < 0) {
            throw TemplateError.of(
                    Kind.FILTER_ARGUMENT,
                    "truncate: expected length >= %d, got %d",
                    end.length(),
                    length);
        }
        if (PyText.length(text) - leeway <= length) {
            return text;
        }
        String cut = text.substring(0, text.offsetByCodePoints(0, room));
        int space = Types.truth(a[1]) ? -1 : cut.lastIndexOf(' ');
        return (space < 0 ? cut : cut.substring(0, space)) + end;
    }

    private static Object format(PythonRuntime runtime, Object value, Arguments arguments) {
        boolean named = !arguments.named().isEmpty();
        if (named && !arguments.positional().isEmpty()) {
            throw TemplateError.of(
                    Kind.FILTER_ARGUMENT,
                    "can't handle positional and keyword arguments at the same time");
        }
        Object values = named ? arguments.named() : Tuple.copyOf(arguments.positional());
        return new PercentFormat(runtime.budget(), runtime.printer())
                .format(runtime.printer().text(value), values);
    }

    private static Object wordCount(String text) {
        long words = 0;
        boolean inside = false;
        for (int c : text.codePoints().toArray()) {
            boolean word = Character.isLetterOrDigit(c) || c == '_';
            words += word && !inside ? 1 : 0;
            inside = word;
        }
        return words;
    }
}
