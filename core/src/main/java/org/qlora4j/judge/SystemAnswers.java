package org.qlora4j.judge;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.data.Row;
import org.qlora4j.data.Source;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;

/**
 * What one system answered.
 *
 * @param system its name
 * @param answers by the question's id
 */
public record SystemAnswers(String system, Map<String, Given> answers) {
    /** Where the judged text of released answers is cut. */
    static final String NEXT_CHAT =
            "A chat between a curious human and an artificial intelligence assistant";

    /**
     * An answer.
     *
     * @param id of the answer; of its text where the file has none
     * @param text that is judged
     */
    public record Given(String id, String text) {}

    /**
     * Reads a file of answers in any of the released layouts: own models ({@code generation},
     * {@code generation_truncated}), API systems ({@code text}), and FastChat's ({@code choices}).
     *
     * @throws FormatException naming the line of a record that is no answer, or comes twice
     */
    public static SystemAnswers read(Path file, String system) {
        Map<String, Given> answers = new LinkedHashMap<>();
        try (Source.Rows rows = Source.of(file).open()) {
            for (Row row = rows.next(); row != null; row = rows.next()) {
                Map<String, Object> fields = row.fields();
                Object id =
                        fields.get(fields.containsKey("message_id") ? "message_id" : "question_id");
                if (id == null) {
                    throw row.error("an answer needs question_id (or message_id)");
                }
                String text = judged(row);
                Object own = fields.get("answer_id");
                Given given = new Given(own instanceof String s ? s : ShortId.of(text), text);
                if (answers.put(String.valueOf(id), given) != null) {
                    throw row.error("question %s is answered twice; remove one of the two", id);
                }
            }
        }
        return new SystemAnswers(system, answers);
    }

    /** The name of a system from its file: without folder and ending. */
    public static String nameOf(Path file) {
        return String.valueOf(file.getFileName()).replaceFirst("\\.jsonl?$", "");
    }

    private static String judged(Row row) {
        String dialogue = dialogue(row);
        if (dialogue != null) {
            return dialogue;
        }
        for (String field : List.of("generation_truncated", "generation")) {
            if (row.fields().get(field) instanceof String text) {
                int end = text.indexOf(NEXT_CHAT);
                return end < 0 ? text : text.substring(0, end);
            }
        }
        return row.text("text");
    }

    /** Several answers of one dialogue, one below the other; null unless there are several. */
    private static @Nullable String dialogue(Row row) {
        if (!(row.fields().get("choices") instanceof List<?> choices)
                || choices.isEmpty()
                || !(choices.getFirst() instanceof Map<?, ?> first)
                || !(first.get("turns") instanceof List<?> turns)) {
            return null;
        }
        List<String> out = new ArrayList<>();
        for (Object turn : turns) {
            String head = turns.size() == 1 ? "" : "[Answer %d]\n".formatted(out.size() + 1);
            out.add(head + turn);
        }
        return String.join("\n\n", out);
    }

    /**
     * Throws unless there are two systems or more, each with a name of its own. The names must be
     * such that a file of ratings can bear them.
     */
    static void requireComparable(List<SystemAnswers> systems) {
        Set<String> names = new HashSet<>();
        for (SystemAnswers system : systems) {
            if (!names.add(system.system())) {
                throw ConfigException.of(
                        "two files of answers are named %s; rename one", system.system());
            }
            if (system.system().contains("-vs-")) {
                throw ConfigException.of(
                        "%s: -vs- stands between two systems in names of ratings; rename the file",
                        system.system());
            }
        }
        if (names.size() < 2) {
            throw new ConfigException(
                    "two systems or more are compared; name the answers of each, a file a system");
        }
    }

    /** The answer to a question. */
    Given to(Question question) {
        Given given = answers.get(question.key());
        if (given == null) {
            throw FormatException.of(
                    "%s has no answer to question %s; let it answer the same questions, or name fewer with --limit",
                    system, question.key());
        }
        return given;
    }
}
