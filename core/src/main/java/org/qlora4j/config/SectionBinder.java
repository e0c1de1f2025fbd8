package org.qlora4j.config;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** Turns one section of the tree into its record, and finds all that keeps it from becoming one. */
public final class SectionBinder {
    private final String section;
    private final Class<?> record;
    private final ObjectNode tree;
    private final List<SettingsLayer.Given> given;
    private final String source;
    private final JsonNode defaults;

    /**
     * For one section.
     *
     * @param tree its values, the defaults among them; left as it is
     * @param given what somebody gave in any section, the last first
     * @param source what a message begins with where no given value is at fault
     */
    SectionBinder(
            String section,
            Class<?> record,
            ObjectNode tree,
            List<SettingsLayer.Given> given,
            String source) {
        this.section = section;
        this.record = record;
        this.tree = tree.deepCopy();
        this.given = given;
        this.source = source;
        this.defaults = ConfigKeys.defaults().path(section);
    }

    /**
     * Binds the section alone. A {@link ConfigException} of its record comes out as such, with its
     * key in the message.
     */
    public static <T> T bind(JsonNode tree, Class<T> type) {
        try {
            return ConfigMapper.YAML.treeToValue(tree, type);
        } catch (JacksonException e) {
            ConfigException mistake = mistakeIn(e);
            if (mistake != null && e.getPath().isEmpty()) {
                throw mistake;
            }
            throw e;
        }
    }

    /**
     * Adds a line for each value that cannot be used. A record stops at its first: so that value
     * goes back to its default, and the rest is tried again.
     */
    void check(List<String> problems) {
        StringBuilder undone = new StringBuilder();
        while (true) {
            String key;
            String problem;
            try {
                bind(tree, record);
                return;
            } catch (ConfigException e) {
                problem = String.valueOf(e.getMessage());
                key = keyAtStart(problem);
            } catch (JacksonException e) {
                key =
                        e.getPath().isEmpty()
                                ? null
                                : section + "." + e.getPath().getFirst().getPropertyName();
                problem = sentence(e, key);
            }
            SettingsLayer.Given fault = key == null ? null : find(key);
            if (fault == null) {
                if (undone.isEmpty()) { // else it may be the fault of a default put back
                    problems.add(source + ": " + problem);
                }
                return;
            }
            if (!blames(problem, fault.key().name(), undone.toString())) {
                problems.add(fault.where() + ": " + problem);
            }
            undone.append(fault.key().name()).append('\n');
            JsonNode before = tree.path(fault.key().leaf());
            JsonNode after = defaults.path(fault.key().leaf());
            if (before.equals(after)) {
                return;
            }
            tree.set(fault.key().leaf(), after);
        }
    }

    private SettingsLayer.@Nullable Given find(String key) {
        for (SettingsLayer.Given one : given) {
            if (one.key().name().equals(key)) {
                return one;
            }
        }
        return null;
    }

    /** The key that a record's message begins with. */
    static @Nullable String keyAtStart(String message) {
        int space = message.indexOf(' ');
        return space < 0 ? null : message.substring(0, space);
    }

    /**
     * Whether a message about one key rests on another that has been put back to its default
     * meanwhile.
     */
    private static boolean blames(String problem, String key, String undone) {
        String rest = problem.substring(Math.min(problem.length(), key.length()));
        return undone.lines().anyMatch(rest::contains);
    }

    private String sentence(JacksonException e, @Nullable String name) {
        ConfigException mistake = mistakeIn(e);
        if (mistake != null) { // of a value's own type, which does not know its key
            return name + " " + mistake.getMessage();
        }
        ConfigKeys.Key key = name == null ? null : ConfigKeys.find(name);
        if (key == null) {
            throw e; // a defect: all keys of the tree are known
        }
        JsonNode value = tree.path(key.leaf());
        boolean isTooLarge = key.type().equals("whole number") && value.isIntegralNumber();
        boolean wantsQuotes = key.type().equals("text") && value.isValueNode() && !value.isNull();
        return "%s must be %s, got %s%s"
                .formatted(
                        key.name(),
                        key.rule(),
                        SettingsLayer.shown(value),
                        isTooLarge
                                ? ", which is too large"
                                : wantsQuotes ? "; write it in quotes" : "");
    }

    private static @Nullable ConfigException mistakeIn(Throwable e) {
        for (Throwable cause = e; cause != null; cause = cause.getCause()) {
            if (cause instanceof ConfigException mistake) {
                return mistake;
            }
        }
        return null;
    }
}
