package org.qlora4j.config;

import org.jspecify.annotations.Nullable;

/**
 * Sets keys of the section {@code distill}. What each means stands at the component of {@link
 * DistillConfig} that has its name.
 */
public final class DistillKeys {
    private final SectionValues values;

    DistillKeys(SectionValues values) {
        this.values = values;
    }

    private DistillKeys set(String key, @Nullable Object value) {
        values.put(key, value);
        return this;
    }

    public DistillKeys teacher(@Nullable String name) {
        return set("teacher", name);
    }

    public DistillKeys temperature(double temperature) {
        return set("temperature", temperature);
    }

    public DistillKeys weight(double weight) {
        return set("weight", weight);
    }

    public DistillKeys topK(int topK) {
        return set("top_k", topK);
    }
}
