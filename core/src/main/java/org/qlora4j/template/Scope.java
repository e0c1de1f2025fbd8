package org.qlora4j.template;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Variables of a block; a name that is not here is looked up in the blocks around. */
final class Scope {
    private final @Nullable Scope parent;
    private final Map<String, Object> variables = new HashMap<>();

    Scope(@Nullable Scope parent) {
        this.parent = parent;
    }

    Object get(String name) {
        for (Scope scope = this; scope != null; scope = scope.parent) {
            Object value = scope.variables.get(name);
            if (value != null) {
                return value;
            }
        }
        return Undefined.name(name);
    }

    Map<String, Object> variables() {
        return variables;
    }

    @Nullable Scope parent() {
        return parent;
    }

    void set(String name, Object value) {
        variables.put(name, value);
    }
}
