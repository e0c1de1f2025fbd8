package org.qlora4j.data;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Columns that carry a part of the conversation beside prompt and answer, by the names that data
 * sets give them.
 */
final class SideColumns {
    /** Instructions to the model (OpenOrca, Orca's preferences); a system message. */
    static final List<String> SYSTEM = List.of("system", "system_prompt", "system_message");

    /** What a question is about (Alpaca, Dolly, SQuAD); it stands behind the question. */
    static final List<String> CONTEXT = List.of("input", "context");

    /** Earlier exchanges (Alpaca as LLaMA-Factory writes it). */
    static final String HISTORY = "history";

    private static final String ANSWER = "completion";

    private static final List<String> ALL =
            List.of("system", "system_prompt", "system_message", "input", "context", HISTORY);

    /** What else of a record is taken or is told elsewhere: tools, and variables of templates. */
    private static final Set<String> OTHERS =
            Set.of(
                    "tools",
                    "functions",
                    "documents",
                    "enable_thinking",
                    "thinking",
                    "thinking_budget",
                    "date_string",
                    "reasoning_effort",
                    "model_identity",
                    "chat_template_kwargs",
                    "rejected");

    private SideColumns() {}

    /** Whether a column is looked at by its name wherever it stands. */
    static boolean isKnown(String name) {
        return ALL.contains(name) || OTHERS.contains(name);
    }

    /** The first of these columns that has a text, or null. */
    static @Nullable String first(Row row, List<String> names) {
        for (String name : names) {
            if (row.fields().get(name) instanceof String text && !text.isBlank()) {
                return name;
            }
        }
        return null;
    }

    /** The text of the first of these columns that has one, else the empty text. */
    static String text(Row row, List<String> names) {
        String name = first(row, names);
        return name == null ? "" : row.text(name);
    }

    /**
     * The messages of the column {@code history}: pairs of question and answer, or messages.
     *
     * @return null if it holds something else
     */
    static @Nullable List<Object> history(Row row) {
        if (!(ChatReader.fromText(row.fields().get(HISTORY)) instanceof List<?> list)) {
            return null;
        }
        List<Object> messages = new ArrayList<>();
        for (Object item : list) {
            if (item instanceof List<?> pair
                    && pair.size() == 2
                    && pair.get(0) instanceof String question
                    && pair.get(1) instanceof String answer) {
                messages.add(Map.of("role", "user", "content", question));
                messages.add(Map.of("role", "assistant", "content", answer));
            } else if (item instanceof Map<?, ?> message
                    && (message.containsKey("role") || message.containsKey("from"))) {
                messages.add(message);
            } else {
                return null;
            }
        }
        return messages;
    }

    /**
     * The columns that a record fills, and of which nothing is in the text made of it.
     *
     * @param written what was made of the record, one text
     */
    static List<String> unused(Row row, String written) {
        List<String> unused = new ArrayList<>();
        for (String name : ALL) {
            Object value = row.fields().get(name);
            boolean isIn =
                    switch (value) {
                        case null -> true;
                        case String text ->
                                text.isBlank()
                                        || written.contains(text.strip())
                                        || (name.equals(HISTORY) && isIn(row, written));
                        case List<?> list when name.equals(HISTORY) -> isIn(row, written);
                        case List<?> list ->
                                list.stream().allMatch(t -> written.contains(String.valueOf(t)));
                        case Map<?, ?> map -> map.isEmpty();
                        default -> false;
                    };
            if (!isIn) {
                unused.add(name);
            }
        }
        // TRL's unpaired preferences: an answer that nobody wanted
        if (Boolean.FALSE.equals(row.fields().get(ClassEncoder.LABEL))
                && row.fields().containsKey(ANSWER)) {
            unused.add(ClassEncoder.LABEL);
        }
        return unused;
    }

    private static boolean isIn(Row row, String written) {
        List<Object> messages = history(row);
        return messages != null
                && messages.stream()
                        .allMatch(m ->
                                m instanceof Map<?, ?> map
                                        && written.contains(
                                                String.valueOf(
                                                                map.containsKey("content")
                                                                        ? map.get("content")
                                                                        : map.get("value"))
                                                        .strip()));
    }
}
