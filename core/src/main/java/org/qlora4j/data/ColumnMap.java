package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * Renames columns to the fields that formats ask for ({@code data.columns: {prompt: question,
 * completion: answer}}). The fields {@code system}, {@code user} and {@code assistant} make a chat
 * of one turn instead, which the model's chat template writes. With either, the text of {@code
 * input} stands behind the prompt, as Alpaca's does.
 *
 * @param columns field to column
 * @param reason where it comes from, for people; empty for none
 */
record ColumnMap(Map<String, String> columns, String reason) {
    static final ColumnMap NONE = new ColumnMap(Map.of(), "");

    /** The fields that make a chat, in the order of its messages. */
    private static final List<String> ROLES = List.of("system", "user", "assistant");

    /** Names of prompt and answer in tables that people write, found when no format fits. */
    private static final Map<String, List<String>> ANSWERS_OF =
            Map.of(
                    "question", List.of("answer", "response", "output", "completion", "chosen"),
                    "query", List.of("answer", "response", "output", "chosen"),
                    "prompt", List.of("response", "answer", "output"),
                    "instruction", List.of("response", "answer", "completion", "chosen"),
                    "user", List.of("assistant", "bot", "chosen"),
                    "input", List.of("target", "response", "answer", "chosen"),
                    "source", List.of("target"));

    /** Names of prompts, beside which another column is an answer to them. */
    static final Set<String> QUESTIONS = ANSWERS_OF.keySet();

    /** The field whose text stands behind the prompt, as Alpaca's input does. */
    private static final String INPUT = "input";

    /**
     * The map for a file: what the settings say, else what is found in the first record if no
     * format fits it; a {@link FormatException} that lists the columns if a column is missing.
     *
     * @param chats whether the model has a chat template, so that pairs become chats
     */
    static ColumnMap of(Map<String, String> settings, Row first, boolean chats) {
        if (!settings.isEmpty()) {
            settings.forEach((field, column) -> requireColumn(first, field, column));
            Map<String, String> ordered = new LinkedHashMap<>(settings);
            return new ColumnMap(ordered, "set by data.columns");
        }
        if (DatasetFormat.fits(first)) {
            return NONE;
        }
        for (String question : first.fields().keySet()) {
            for (String answer :
                    ANSWERS_OF.getOrDefault(question.toLowerCase(Locale.ROOT), List.of())) {
                String column = ignoringCase(first, answer);
                if (column != null) {
                    return found(first, question, column, chats);
                }
            }
        }
        return NONE;
    }

    private static ColumnMap found(Row first, String question, String answer, boolean chats) {
        Map<String, String> columns = new LinkedHashMap<>();
        columns.put(chats ? "user" : "prompt", question);
        columns.put(chats ? "assistant" : "completion", answer);
        for (String context : SideColumns.CONTEXT) {
            String column = ignoringCase(first, context);
            boolean isText =
                    column != null
                            && (first.fields().get(column) == null
                                    || first.fields().get(column) instanceof String);
            if (isText && !columns.containsValue(column)) {
                columns.putIfAbsent(INPUT, column);
            }
        }
        List<String> rest = new ArrayList<>(first.fields().keySet());
        rest.removeAll(columns.values());
        rest.removeIf(SideColumns::isKnown);
        String others = rest.isEmpty() ? "" : "; not used: " + String.join(", ", rest);
        return new ColumnMap(columns, "found by their names; data.columns sets others" + others);
    }

    private static @Nullable String ignoringCase(Row row, String name) {
        for (String column : row.fields().keySet()) {
            if (column.equalsIgnoreCase(name)) {
                return column;
            }
        }
        return null;
    }

    /**
     * A map for a record that fits no format, to be put right by its owner: of its two longest
     * texts the one in front asks, the other answers.
     */
    static String example(Row first) {
        List<String> texts = new ArrayList<>(first.fields().keySet());
        texts.sort(Comparator.comparingInt(name -> -lengthOf(first.fields().get(name))));
        List<String> two = texts.subList(0, Math.min(2, texts.size()));
        List<String> ordered = first.fields().keySet().stream().filter(two::contains).toList();
        return "{user: %s, assistant: %s}"
                .formatted(
                        ordered.isEmpty() ? "…" : ordered.getFirst(),
                        ordered.size() < 2 ? "…" : ordered.getLast());
    }

    private static int lengthOf(@Nullable Object value) {
        return value instanceof String text ? text.length() : -1;
    }

    private static void requireColumn(Row first, String field, String column) {
        if (!first.fields().containsKey(column)) {
            throw first.error(
                    "data.columns takes %s from the column %s, which is not there; the columns are %s",
                    field, column, String.join(", ", first.fields().keySet()));
        }
    }

    /** The record as formats see it. */
    Row apply(Row row) {
        if (columns.isEmpty()) {
            return row;
        }
        Map<String, Object> fields = new LinkedHashMap<>(row.fields());
        columns.values().forEach(fields::remove);
        columns.forEach((field, column) -> {
            if (!ROLES.contains(field) && row.fields().containsKey(column)) {
                fields.put(field, row.fields().get(column));
            }
        });
        String context = context(row);
        if (context != null) {
            fields.remove(INPUT);
        }
        if (context != null && columns.containsKey("prompt")) {
            String prompt = row.text(columns.getOrDefault("prompt", ""));
            fields.put("prompt", SourceTarget.joined(prompt, context));
        }
        List<Map<String, Object>> messages = new ArrayList<>();
        for (String role : ROLES) {
            String column = columns.get(role);
            if (column != null && !(role.equals("system") && row.textOrEmpty(column).isBlank())) {
                String behind = role.equals("user") && context != null ? context : "";
                String content = SourceTarget.joined(row.text(column), behind);
                messages.add(Map.of("role", role, "content", content));
            }
        }
        if (!messages.isEmpty()) {
            fields.put("messages", messages);
        }
        return row.with(fields);
    }

    /**
     * The text that stands behind the prompt. Null unless a column was named for it and format
     * input-output does not need the field.
     */
    private @Nullable String context(Row row) {
        String column = columns.get(INPUT);
        boolean behind = columns.containsKey("user") || columns.containsKey("prompt");
        return column != null && behind && row.fields().get(column) instanceof String text
                ? text.strip()
                : null;
    }

    /** The end of a sentence for people, empty without a map. */
    String describe() {
        List<String> pairs = new ArrayList<>();
        new TreeMap<>(columns)
                .descendingMap() // user before assistant, prompt before completion
                .forEach((field, column) -> pairs.add(column + " as " + field));
        return columns.isEmpty()
                ? ""
                : "; columns " + String.join(", ", pairs) + " (" + reason + ")";
    }
}
