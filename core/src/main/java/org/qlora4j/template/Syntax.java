package org.qlora4j.template;

import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.template.Filters.Filter;

/**
 * What the uses of Jinja set differently.
 *
 * @param trims {@code trim_blocks} and {@code lstrip_blocks}
 * @param generationTags whether {@code {% generation %}} is known, as in transformers but not in
 *     Jinja2
 * @param strict {@code StrictUndefined}: what is not defined may be asked about, not used
 * @param moreFilters filters besides Jinja's own
 */
record Syntax(
        boolean trims, boolean generationTags, boolean strict, Map<String, Filter> moreFilters) {
    /** As lm-evaluation-harness sets it for the templates of tasks. */
    static final Syntax OF_TASKS =
            new Syntax(false, false, true, Map.of("regex_replace", TextFilters::regexReplace));

    /** As transformers sets it for chat templates. */
    static Syntax ofChats(boolean generationTags) {
        return new Syntax(true, generationTags, false, Map.of());
    }

    /** The filter of that name, or null. */
    @Nullable Filter filter(String name) {
        Filter more = moreFilters.get(name);
        return more != null ? more : Filters.ALL.get(name);
    }
}
