package org.qlora4j.template;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;

/** The methods of Python's str. */
final class StringMethods {
    static final Set<String> NAMES =
            Set.of(
                    "capitalize",
                    "center",
                    "count",
                    "endswith",
                    "expandtabs",
                    "find",
                    "format",
                    "index",
                    "isalnum",
                    "isalpha",
                    "isascii",
                    "isdecimal",
                    "isdigit",
                    "islower",
                    "isnumeric",
                    "isprintable",
                    "isspace",
                    "istitle",
                    "isupper",
                    "join",
                    "ljust",
                    "lower",
                    "lstrip",
                    "partition",
                    "removeprefix",
                    "removesuffix",
                    "replace",
                    "rfind",
                    "rindex",
                    "rjust",
                    "rpartition",
                    "rsplit",
                    "rstrip",
                    "split",
                    "splitlines",
                    "startswith",
                    "strip",
                    "swapcase",
                    "title",
                    "upper",
                    "zfill");

    private StringMethods() {}

    /**
     * {@code text.name(arguments)}.
     *
     * @param name one of {@link #NAMES}
     */
    static Object call(PythonRuntime runtime, String text, String name, Arguments arguments) {
        Budget budget = runtime.budget();
        budget.text(text.length());
        return switch (name) {
            case "upper", "lower", "capitalize", "title", "swapcase" ->
                    cased(text, name, arguments);
            case "strip" -> PyText.strip(text, characters(name, arguments));
            case "lstrip" -> PyText.stripLeft(text, characters(name, arguments));
            case "rstrip" -> PyText.stripRight(text, characters(name, arguments));
            case "split" -> split(text, arguments, false, budget);
            case "rsplit" -> split(text, arguments, true, budget);
            case "splitlines" -> {
                Object keep = arguments.bind(name, "keepends", false)[0];
                budget.items(text.chars().filter(c -> PyText.isLineEnd((char) c)).count() + 1);
                yield new ArrayList<Object>(PyText.splitLines(text, Types.truth(keep)));
            }
            case "partition", "rpartition" -> partition(text, name, arguments);
            case "startswith", "endswith" -> affixed(text, name, arguments);
            case "removeprefix" -> {
                String prefix = one(name, arguments);
                yield text.startsWith(prefix) ? text.substring(prefix.length()) : text;
            }
            case "removesuffix" -> {
                String suffix = one(name, arguments);
                yield text.endsWith(suffix)
                        ? text.substring(0, text.length() - suffix.length())
                        : text;
            }
            case "find", "rfind", "index", "rindex", "count" -> search(text, name, arguments);
            case "replace" -> {
                Object[] a =
                        arguments.bind(
                                name,
                                "old",
                                Arguments.REQUIRED,
                                "new",
                                Arguments.REQUIRED,
                                "count",
                                -1L);
                yield replace(
                        text, string(name, a[0]), string(name, a[1]), Numbers.index(a[2]), budget);
            }
            case "join" -> join(text, arguments, budget);
            case "center", "ljust", "rjust" -> {
                Object[] a = arguments.bind(name, "width", Arguments.REQUIRED, "fillchar", " ");
                yield justify(text, name, Numbers.index(a[0]), string(name, a[1]), budget);
            }
            case "zfill" ->
                    zeroFill(
                            text,
                            Numbers.index(arguments.bind(name, "width", Arguments.REQUIRED)[0]),
                            budget);
            case "expandtabs" ->
                    expandTabs(text, Numbers.index(arguments.bind(name, "tabsize", 8L)[0]), budget);
            case "format" -> new BraceFormat(runtime).format(text, arguments);
            default -> {
                arguments.bind(name);
                yield is(text, name);
            }
        };
    }

    private static String cased(String text, String name, Arguments arguments) {
        arguments.bind(name);
        return switch (name) {
            case "upper" -> PyText.upper(text);
            case "lower" -> PyText.lower(text);
            case "capitalize" -> PyText.capitalize(text);
            case "title" -> PyText.title(text);
            default -> {
                StringBuilder out = new StringBuilder();
                text.codePoints()
                        .mapToObj(c ->
                                Character.isUpperCase(c)
                                        ? PyText.lower(Character.toString(c))
                                        : upper(c))
                        .forEach(out::append);
                yield out.toString();
            }
        };
    }

    private static String upper(int c) {
        String character = Character.toString(c);
        return Character.isLowerCase(c) ? PyText.upper(character) : character;
    }

    /** An argument that must be text. */
    static String string(String function, Object value) {
        return switch (value) {
            case String text -> text;
            case Undefined undefined -> throw undefined.error();
            default ->
                    throw TemplateError.type(
                            "%s() argument must be str, not %s", function, Types.name(value));
        };
    }

    private static String one(String name, Arguments arguments) {
        return string(name, arguments.bind(name, "value", Arguments.REQUIRED)[0]);
    }

    private static @Nullable String characters(String name, Arguments arguments) {
        Object characters = arguments.bind(name, "chars", None.NONE)[0];
        return characters == None.NONE ? null : string(name, characters);
    }

    private static List<Object> split(
            String text, Arguments arguments, boolean right, Budget budget) {
        String name = right ? "rsplit" : "split";
        Object[] a = arguments.bind(name, "sep", None.NONE, "maxsplit", -1L);
        long limit = Numbers.index(a[1]);
        if (a[0] == None.NONE) {
            budget.items(limited(PyText.wordCount(text), limit));
            return new ArrayList<Object>(
                    right ? PyText.wordsFromRight(text, limit) : PyText.words(text, limit));
        }
        String separator = separator(name, a[0]);
        budget.items(limited(PyText.count(text, separator) + 1, limit));
        return new ArrayList<Object>(
                right
                        ? PyText.splitFromRight(text, separator, limit)
                        : PyText.split(text, separator, limit));
    }

    private static long limited(long parts, long limit) {
        return limit < 0 ? parts : Math.min(parts, limit + 1);
    }

    private static String separator(String name, Object value) {
        String separator = string(name, value);
        if (separator.isEmpty()) {
            throw TemplateError.value("empty separator");
        }
        return separator;
    }

    private static Tuple partition(String text, String name, Arguments arguments) {
        String separator = separator(name, one(name, arguments));
        boolean right = name.equals("rpartition");
        int found = right ? PyText.lastIndexOf(text, separator) : PyText.indexOf(text, separator);
        if (found < 0) {
            return right ? Tuple.of("", "", text) : Tuple.of(text, "", "");
        }
        return Tuple.of(
                text.substring(0, found), separator, text.substring(found + separator.length()));
    }

    private static Object affixed(String text, String name, Arguments arguments) {
        Object[] a =
                arguments.bind(
                        name, "value", Arguments.REQUIRED, "start", None.NONE, "end", None.NONE);
        int[] span = span(text, a[1], a[2]);
        if (span[0] > span[1]) {
            return false;
        }
        String part = text.substring(span[0], span[1]);
        List<Object> affixes = a[0] instanceof Tuple tuple ? tuple : List.of(a[0]);
        for (Object affix : affixes) {
            if (!(Markup.plain(affix) instanceof String wanted)) {
                throw TemplateError.type(
                        "%s first arg must be str or a tuple of str, not %s",
                        name, Types.name(affix));
            }
            if (name.equals("startswith") ? part.startsWith(wanted) : part.endsWith(wanted)) {
                return true;
            }
        }
        return false;
    }

    /** Start and end in UTF-16 units of a span given as Python gives slices. */
    private static int[] span(String text, Object start, Object end) {
        if (start == None.NONE && end == None.NONE) {
            return new int[] {0, text.length()};
        }
        int length = PyText.length(text);
        long from = start == None.NONE ? 0 : Numbers.index(start);
        long to = end == None.NONE ? length : Numbers.index(end);
        from = from < 0 ? Math.max(0, from + length) : from;
        to = to < 0 ? Math.max(0, to + length) : Math.min(to, length);
        if (from > length || from > to) {
            return new int[] {1, 0};
        }
        return new int[] {
            text.offsetByCodePoints(0, (int) from), text.offsetByCodePoints(0, (int) to)
        };
    }

    private static Object search(String text, String name, Arguments arguments) {
        Object[] a =
                arguments.bind(
                        name, "sub", Arguments.REQUIRED, "start", None.NONE, "end", None.NONE);
        String wanted = string(name, a[0]);
        int[] span = span(text, a[1], a[2]);
        boolean empty = span[0] > span[1];
        if (name.equals("count")) {
            return empty ? 0L : PyText.count(text.substring(span[0], span[1]), wanted);
        }
        String part = empty ? "" : text.substring(span[0], span[1]);
        int found =
                empty
                        ? -1
                        : name.startsWith("r")
                                ? PyText.lastIndexOf(part, wanted)
                                : PyText.indexOf(part, wanted);
        if (found < 0 && name.endsWith("index")) {
            throw TemplateError.value("substring not found");
        }
        return found < 0 ? -1L : PyText.position(text, span[0] + found);
    }

    /**
     * At most {@code count} occurrences replaced, all if negative; an empty one occurs between any
     * two characters.
     */
    static String replace(String text, String old, String replacement, long count, Budget budget) {
        long times = PyText.count(text, old);
        times = count < 0 ? times : Math.min(times, count);
        budget.text(text.length() + times * (replacement.length() - (long) old.length()));
        StringBuilder out = new StringBuilder();
        TextSearch search = new TextSearch(text, old);
        int from = 0;
        for (long i = 0; i < times; i++) {
            int found = old.isEmpty() ? from : search.next(from);
            out.append(text, from, found).append(replacement);
            from = found + old.length();
            if (old.isEmpty() && from < text.length()) {
                int next = text.offsetByCodePoints(from, 1);
                out.append(text, from, next);
                from = next;
            }
        }
        return out.append(text.substring(Math.min(from, text.length()))).toString();
    }

    private static String join(String separator, Arguments arguments, Budget budget) {
        Object values = arguments.bind("join", "iterable", Arguments.REQUIRED)[0];
        if (!Types.isIterable(values)) {
            throw TemplateError.type("can only join an iterable");
        }
        Budget.Text out = budget.newText();
        Iterator<Object> items = Types.iterator(values);
        for (int i = 0; items.hasNext(); i++) {
            Object item = items.next();
            if (!(Markup.plain(item) instanceof String part)) {
                throw TemplateError.type(
                        "sequence item %d: expected str instance, %s found", i, Types.name(item));
            }
            out.append(i == 0 ? "" : separator).append(part);
        }
        return out.toString();
    }

    /**
     * Padded to a width in characters; Python's {@code center} puts the odd one left if the width
     * is odd.
     */
    static String justify(String text, String how, long width, String fill, Budget budget) {
        if (PyText.length(fill) != 1) {
            throw TemplateError.type("The fill character must be exactly one character long");
        }
        long missing = Math.max(0, width - PyText.length(text));
        long left =
                switch (how) {
                    case "ljust" -> 0;
                    case "rjust" -> missing;
                    default -> missing / 2 + (missing & width & 1);
                };
        return budget.newText()
                .appendRepeated(fill, left)
                .append(text)
                .appendRepeated(fill, missing - left)
                .toString();
    }

    private static String zeroFill(String text, long width, Budget budget) {
        boolean signed = text.startsWith("-") || text.startsWith("+");
        String digits = signed ? text.substring(1) : text;
        return (signed ? text.substring(0, 1) : "")
                + justify(digits, "rjust", signed ? width - 1 : width, "0", budget);
    }

    private static String expandTabs(String text, long size, Budget budget) {
        Budget.Text out = budget.newText();
        long column = 0;
        for (String character :
                (Iterable<String>)
                        () -> text.codePoints().mapToObj(Character::toString).iterator()) {
            if (character.equals("\t")) {
                long spaces = size > 0 ? size - column % size : 0;
                out.appendRepeated(" ", spaces);
                column += spaces;
            } else {
                out.append(character);
                column = character.equals("\n") || character.equals("\r") ? 0 : column + 1;
            }
        }
        return out.toString();
    }

    private static boolean is(String text, String name) {
        return switch (name) {
            case "isascii" -> text.codePoints().allMatch(c -> c < 128);
            case "isprintable" -> text.codePoints().allMatch(PyText::isPrintable);
            case "islower" -> PyText.isAll(text, false);
            case "isupper" -> PyText.isAll(text, true);
            case "istitle" ->
                    text.codePoints().anyMatch(PyText::isCased) && PyText.title(text).equals(text);
            default -> !text.isEmpty() && text.codePoints().allMatch(characterTest(name));
        };
    }

    private static IntPredicate characterTest(String name) {
        return switch (name) {
            case "isspace" -> PyText::isSpace;
            case "isalpha" -> Character::isLetter;
            case "isdecimal" -> Character::isDigit;
            case "isdigit" -> c -> Character.isDigit(c) || "\u00b2\u00b3\u00b9".indexOf(c) >= 0;
            case "isnumeric" -> StringMethods::isNumeric;
            default -> c -> Character.isLetter(c) || isNumeric(c); // isalnum
        };
    }

    private static boolean isNumeric(int c) {
        int type = Character.getType(c);
        return type == Character.DECIMAL_DIGIT_NUMBER
                || type == Character.LETTER_NUMBER
                || type == Character.OTHER_NUMBER;
    }
}
