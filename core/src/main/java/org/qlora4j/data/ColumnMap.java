package org.qlora4j.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * Renames columns to the fields that formats ask for ({@code data.columns: {prompt: question,
 * completion: answer}}). The fields {@code system}, {@code user} and {@code assistant} make a chat
 * of one turn instead, which the model's chat template writes.
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
                    "question", List.of("answer", "response", "output", "completion"),
                    "query", List.of("answer", "response", "output"),
                    "prompt", List.of("response", "answer", "output"),
                    "instruction", List.of("response", "answer", "completion"),
                    "user", List.of("assistant", "bot"),
                    "input", List.of("target", "response", "answer"),
                    "source", List.of("target"));

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
                    ANSWERS_OF.getOrDefault(
                            question.toLowerCase(java.util.Locale.ROOT), List.of())) {
                String column = ignoringCase(first, answer);
                if (column != null) {
                    return new ColumnMap(
                            chats
                                    ? Map.of("user", question, "assistant", column)
                                    : Map.of("prompt", question, "completion", column),
                            "found by their names; data.columns sets others");
                }
            }
        }
        return NONE;
    }

    private static @Nullable String ignoringCase(Row row, String name) {
        for (String column : row.fields().keySet()) {
            if (column.equalsIgnoreCase(name)) {
                return column;
            }
        }
        return null;
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
        List<Map<String, Object>> messages = new ArrayList<>();
        for (String role : ROLES) {
            String column = columns.get(role);
            if (column != null && !(role.equals("system") && row.textOrEmpty(column).isBlank())) {
                messages.add(Map.of("role", role, "content", row.text(column)));
            }
        }
        if (!messages.isEmpty()) {
            fields.put("messages", messages);
        }
        return new Row(row.file(), row.line(), fields);
    }

    /** The end of a sentence for people, empty without a map. */
    String describe() {
        List<String> pairs = new ArrayList<>();
        new java.util.TreeMap<>(columns)
                .descendingMap() // user before assistant, prompt before completion
                .forEach((field, column) -> pairs.add(column + " as " + field));
        return columns.isEmpty()
                ? ""
                : "; columns " + String.join(", ", pairs) + " (" + reason + ")";
    }
}
