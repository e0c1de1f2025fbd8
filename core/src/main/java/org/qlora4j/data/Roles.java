package org.qlora4j.data;

import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Names of roles in data, as the role that chat templates know: what {@code data.roles} says, then
 * ShareGPT's names and those of its descendants.
 *
 * @param named name to role, from the settings
 * @param ofTemplate whether the chat template itself names a role
 */
record Roles(Map<String, String> named, Predicate<String> ofTemplate) {
    /** No settings and no template. */
    static final Roles BUILT_IN = new Roles(Map.of(), name -> false);

    /** A message of this role holds a tool call as JSON; it is the assistant's. */
    static final String CALL = "function_call";

    private static final Set<String> STANDARD =
            Set.of("system", "developer", "user", "assistant", "tool", CALL);

    private static final Map<String, String> OTHER_NAMES =
            Map.ofEntries(
                    Map.entry("human", "user"),
                    Map.entry("prompter", "user"),
                    Map.entry("gpt", "assistant"),
                    Map.entry("chatgpt", "assistant"),
                    Map.entry("bing", "assistant"),
                    Map.entry("bard", "assistant"),
                    Map.entry("bot", "assistant"),
                    Map.entry("model", "assistant"),
                    Map.entry("tool_call", CALL),
                    Map.entry("tool_calls", CALL),
                    Map.entry("function", "tool"),
                    Map.entry("function_response", "tool"),
                    Map.entry("tool_response", "tool"),
                    Map.entry("tool_result", "tool"),
                    Map.entry("ipython", "tool"),
                    Map.entry("observation", "tool"));

    /**
     * The role of a message, {@link #CALL} for a tool call; a {@code FormatException} that names
     * place and role if nobody knows it.
     *
     * @param place of the role in the record, for the message
     */
    String of(Row row, String place, String name) {
        String role = find(name);
        if (role == null) {
            throw row.error(
                    "%s must be human, gpt, system, tool, function_call or observation, got %s, a role that is not known; say what it"
                            + " stands for in data.roles, e.g. {%s: user}",
                    place, name, name);
        }
        return role;
    }

    /** The roles of settings such as {@code data.roles_to_train}, as chats have them. */
    String ofSetting(String name) {
        String role = find(name);
        return role == null ? name : role.equals(CALL) ? "assistant" : role;
    }

    private @Nullable String find(String name) {
        String set = named.get(name);
        if (set != null) {
            return OTHER_NAMES.getOrDefault(set, set);
        }
        String plain = name.strip().toLowerCase(Locale.ROOT);
        if (STANDARD.contains(plain)) {
            return plain;
        }
        String other = OTHER_NAMES.get(plain);
        // a template may have been written for just these names
        if (ofTemplate.test(name) && (other == null || !ofTemplate.test(other))) {
            return name;
        }
        return other;
    }
}
