package org.qlora4j.config;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Gathers flags with their meaning, each once. */
final class FlagTableBuilder {
    private static final Map<String, String> AS_IS = Map.of();

    private final Map<String, FlagMeaning> table = new LinkedHashMap<>();

    /** The flags so far, in order. */
    Map<String, FlagMeaning> build() {
        return Collections.unmodifiableMap(table);
    }

    void sets(String flag, String key) {
        sets(flag, key, AS_IS, null);
    }

    void truth(String flag, String key, String ifTrue, String ifFalse) {
        sets(flag, key, Map.of("true", ifTrue, "false", ifFalse), "it is either true or false");
    }

    void sets(String flag, String key, Map<String, String> values, @Nullable String otherwise) {
        put(flag, new FlagMeaning.Sets(key, values, otherwise));
    }

    void ignored(String reason, Set<String> silent, String... names) {
        for (String flag : names) {
            put(flag, new FlagMeaning.Ignored(reason, silent));
        }
    }

    void refused(String reason, Set<String> harmless, String flag) {
        put(flag, new FlagMeaning.Refused(reason, harmless));
    }

    private void put(String flag, FlagMeaning meaning) {
        if (table.put(flag, meaning) != null) {
            throw new IllegalStateException("two meanings of --" + flag);
        }
    }
}
