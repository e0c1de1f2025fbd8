package org.qlora4j.template;

import java.util.HashMap;
import java.util.Map;
import org.qlora4j.template.TemplateError.Kind;

/**
 * The filters of Jinja2, with {@code tojson} as transformers sets it. Not here, for they make web
 * pages and not prompts: filesizeformat, pprint, random, striptags, urlencode, urlize, wordwrap,
 * xmlattr.
 */
final class Filters {
    static final Map<String, Filter> ALL = all();

    private Filters() {}

    /**
     * One filter: {@code value | name(arguments)}. Values and arguments are free of {@link Markup}.
     */
    @FunctionalInterface
    interface Filter {
        Object apply(PythonRuntime runtime, Object value, Arguments arguments);
    }

    private static Map<String, Filter> all() {
        Map<String, Filter> filters = new HashMap<>();
        filters.putAll(TextFilters.ALL);
        filters.putAll(NumberFilters.ALL);
        filters.putAll(SequenceFilters.ALL);
        filters.putAll(ItemFilters.ALL);
        return Map.copyOf(filters);
    }

    /**
     * Applies the filter of that name.
     *
     * @throws TemplateError if there is none, or it cannot work on these values
     */
    static Object apply(PythonRuntime runtime, String name, Object value, Arguments arguments) {
        Filter filter = runtime.syntax().filter(name);
        if (filter == null) {
            throw TemplateError.of(Kind.RUNTIME, "No filter named %s.", Printer.quote(name));
        }
        runtime.budget().workOn(value);
        boolean keepsMarkup =
                name.equals("safe")
                        || name.equals("escape")
                        || name.equals("e")
                        || name.equals("string");
        return filter.apply(runtime, keepsMarkup ? value : Markup.plain(value), arguments.plain());
    }
}
