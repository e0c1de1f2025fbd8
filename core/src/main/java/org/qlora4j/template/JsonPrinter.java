package org.qlora4j.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Values as Python's {@code json.dumps} writes them; the {@code tojson} filter of transformers. */
final class JsonPrinter {
    private final Budget budget;
    private final boolean ascii;
    private final boolean sortKeys;
    private final boolean pretty;
    private final String indent;
    private final String itemSeparator;
    private final String keySeparator;

    private JsonPrinter(
            Budget budget, boolean ascii, Object indent, Object separators, boolean sortKeys) {
        this.budget = budget;
        this.ascii = ascii;
        this.sortKeys = sortKeys;
        this.pretty = indent != None.NONE;
        this.indent = indent(indent, budget);
        if (separators instanceof List<?> pair && pair.size() == 2) {
            this.itemSeparator = String.valueOf(pair.get(0));
            this.keySeparator = String.valueOf(pair.get(1));
        } else if (separators == None.NONE) {
            this.itemSeparator = pretty ? "," : ", ";
            this.keySeparator = ": ";
        } else {
            throw TemplateError.type(
                    "tojson: separators must be two texts, got %s", Types.name(separators));
        }
    }

    private static String indent(Object indent, Budget budget) {
        if (indent == None.NONE || indent instanceof String) {
            return indent instanceof String text ? text : "";
        }
        long width = Numbers.index(indent);
        budget.text(width);
        return " ".repeat((int) Math.max(0, width));
    }

    /**
     * The filter {@code tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)}.
     */
    static Object filter(Object value, Arguments arguments, Budget budget) {
        Object[] a =
                arguments.bind(
                        "tojson",
                        "ensure_ascii",
                        false,
                        "indent",
                        None.NONE,
                        "separators",
                        None.NONE,
                        "sort_keys",
                        false);
        JsonPrinter printer =
                new JsonPrinter(budget, Types.truth(a[0]), a[1], a[2], Types.truth(a[3]));
        Budget.Text out = budget.newText();
        printer.write(value, out, 0);
        return out.toString();
    }

    private void write(Object value, Budget.Text out, int depth) {
        budget.valueDepth(depth);
        switch (value) {
            case String s -> quote(s, out);
            case Markup m -> quote(m.text(), out);
            case List<?> list when !(list instanceof Range) -> list(list, out, depth);
            case Map<?, ?> map -> map(map, out, depth);
            default -> out.append(scalar(value));
        }
    }

    private static String scalar(Object value) {
        return switch (value) {
            case None none -> "null";
            case Boolean b -> b ? "true" : "false";
            case Double d ->
                    Double.isNaN(d)
                            ? "NaN"
                            : Double.isInfinite(d)
                                    ? (d > 0 ? "Infinity" : "-Infinity")
                                    : Printer.number(d);
            case Number n -> n.toString();
            default ->
                    throw TemplateError.type(
                            "Object of type %s is not JSON serializable", Types.name(value));
        };
    }

    private void list(List<?> list, Budget.Text out, int depth) {
        if (list.isEmpty()) {
            out.append("[]");
            return;
        }
        out.append("[");
        String separator = "";
        for (Object item : list) {
            out.append(separator);
            newLine(out, depth + 1);
            write(item, out, depth + 1);
            separator = itemSeparator;
        }
        newLine(out, depth);
        out.append("]");
    }

    private void map(Map<?, ?> map, Budget.Text out, int depth) {
        if (map.isEmpty()) {
            out.append("{}");
            return;
        }
        List<Map.Entry<?, ?>> entries = new ArrayList<>(map.entrySet());
        if (sortKeys) {
            Comparison comparison = new Comparison(budget);
            comparison.sort(entries, Map.Entry::getKey, false);
        }
        out.append("{");
        String separator = "";
        for (Map.Entry<?, ?> entry : entries) {
            out.append(separator);
            newLine(out, depth + 1);
            quote(key(entry.getKey()), out);
            out.append(keySeparator);
            write(entry.getValue(), out, depth + 1);
            separator = itemSeparator;
        }
        newLine(out, depth);
        out.append("}");
    }

    private static String key(Object key) {
        if (key instanceof String text) {
            return text;
        }
        if (key == None.NONE || Types.isNumber(key)) {
            return scalar(key);
        }
        throw TemplateError.type(
                "keys must be str, int, float, bool or None, not %s", Types.name(key));
    }

    private void newLine(Budget.Text out, int depth) {
        if (pretty) {
            out.append("\n").appendRepeated(indent, depth);
        }
    }

    private void quote(String text, Budget.Text out) {
        StringBuilder quoted = new StringBuilder(text.length() + 2).append('"');
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            switch (c) {
                case '"' -> quoted.append("\\\"");
                case '\\' -> quoted.append("\\\\");
                case '\n' -> quoted.append("\\n");
                case '\r' -> quoted.append("\\r");
                case '\t' -> quoted.append("\\t");
                case '\b' -> quoted.append("\\b");
                case '\f' -> quoted.append("\\f");
                default -> {
                    if (c < 0x20 || (ascii && c > 0x7e)) {
                        quoted.append(String.format("\\u%04x", (int) c));
                    } else {
                        quoted.append(c);
                    }
                }
            }
        }
        out.append(quoted.append('"').toString());
    }
}
