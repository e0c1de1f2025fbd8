package org.qlora4j.judge;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ask.ChatMessage;
import org.qlora4j.data.Row;
import org.qlora4j.data.Source;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;

/**
 * A question to chatbots: one of the Vicuna benchmark, of the OA benchmark (a dialogue so far), of
 * MT-Bench (several turns), or of a file of one's own in any of their layouts.
 *
 * @param id number or text, as in the file
 * @param idField its name there: question_id, or message_id for OA
 * @param text what a judge is shown as the question
 * @param category chooses the judge's prompt, such as generic, coding, math
 * @param before the dialogue before the first turn
 * @param turns messages of the user that are answered one after the other; at least one
 * @param prompt the raw prompt that the file has for it; null if it has none
 */
public record Question(
        Object id,
        String idField,
        String text,
        String category,
        List<ChatMessage> before,
        List<String> turns,
        @Nullable String prompt) {
    private static final Pattern SPEAKER = Pattern.compile("### (Human|Assistant):");

    /** What stands before the dialogue in the paper's prompts. */
    private static final String GUANACO =
            "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions. ";

    public Question {
        before = List.copyOf(before);
        turns = List.copyOf(turns);
    }

    /** The id as text. */
    public String key() {
        return String.valueOf(id);
    }

    /**
     * Reads the first questions of a file, as {@link #read(Path)} does.
     *
     * @param limit how many at the most
     * @throws ConfigException if the limit is below 1
     */
    public static List<Question> read(Path file, int limit) {
        if (limit < 1) {
            throw ConfigException.of("--limit must be at least 1, got %d", limit);
        }
        List<Question> all = read(file);
        return List.copyOf(all.subList(0, Math.min(limit, all.size())));
    }

    /**
     * Reads questions in the order of their file.
     *
     * @param file JSON Lines, or any kind that training data may have
     * @throws FormatException naming the line of a record that is no question, or comes twice
     */
    public static List<Question> read(Path file) {
        List<Question> out = new ArrayList<>();
        Set<String> ids = new LinkedHashSet<>();
        try (Source.Rows rows = Source.of(file).open()) {
            for (Row row = rows.next(); row != null; row = rows.next()) {
                Question question = of(row, out.size() + 1);
                if (!ids.add(question.key())) {
                    throw row.error(
                            "question %s stands in the file twice; remove one", question.key());
                }
                out.add(question);
            }
        }
        if (out.isEmpty()) {
            throw FormatException.of("%s holds no question", file);
        }
        return out;
    }

    private static Question of(Row row, int number) {
        Map<String, Object> fields = row.fields();
        String idField = fields.containsKey("message_id") ? "message_id" : "question_id";
        Object id = fields.get(idField);
        if (id == null) {
            id = fields.getOrDefault("prompt_id", (long) number);
        }
        String category = row.textOrEmpty("category");
        category = category.isEmpty() ? "generic" : category;
        List<String> turns = turns(row);
        if (!turns.isEmpty()) {
            String text = String.join("\n\n", turns);
            return new Question(id, idField, text, category, List.of(), turns, null);
        }
        String text = text(row);
        List<ChatMessage> dialogue = dialogue(text);
        String prompt =
                fields.get("prompt") instanceof String raw && fields.containsKey("text")
                        ? raw
                        : null;
        return dialogue.isEmpty()
                ? new Question(id, idField, text, category, List.of(), List.of(text), prompt)
                : new Question(
                        id,
                        idField,
                        text,
                        category,
                        dialogue.subList(0, dialogue.size() - 1),
                        List.of(dialogue.getLast().content()),
                        prompt);
    }

    private static String text(Row row) {
        for (String field : List.of("text", "question", "prompt")) {
            if (row.fields().get(field) instanceof String text && !text.isBlank()) {
                return text;
            }
        }
        throw row.error(
                "a question needs text (or question, prompt, or a list of turns); the record has %s",
                row.fields().keySet());
    }

    /** MT-Bench's {@code turns}, or a {@code prompt} that is a list; else empty. */
    private static List<String> turns(Row row) {
        Object value =
                row.fields().get("turns") == null
                        ? row.fields().get("prompt")
                        : row.fields().get("turns");
        List<String> out = new ArrayList<>();
        for (Object turn : value instanceof List<?> list ? list : List.of()) {
            if (!(turn instanceof String text)) {
                throw row.error("the turns of a question must be texts");
            }
            out.add(text);
        }
        return out;
    }

    /** A dialogue as OA questions have it, up to the user's last message; empty for plain text. */
    private static List<ChatMessage> dialogue(String text) {
        Matcher speaker = SPEAKER.matcher(text);
        List<ChatMessage> out = new ArrayList<>();
        if (!text.startsWith("### Human:") || !speaker.find()) {
            return out;
        }
        int from;
        do {
            String role = speaker.group(1).equals("Human") ? "user" : "assistant";
            from = speaker.end();
            boolean more = speaker.find();
            String said = text.substring(from, more ? speaker.start() : text.length()).strip();
            out.add(new ChatMessage(role, said));
            if (!more) {
                break;
            }
        } while (true);
        if (out.getLast().role().equals("assistant") && out.getLast().content().isEmpty()) {
            out.removeLast();
        }
        return out.getLast().role().equals("user") ? out : List.of();
    }

    /**
     * The raw prompt that the paper's own models were given.
     *
     * @throws org.qlora4j.error.ConfigException if it has several turns, which that form has not
     */
    String guanacoPrompt() {
        if (prompt != null) {
            return prompt;
        }
        StringBuilder out = new StringBuilder(GUANACO);
        for (ChatMessage message : before) {
            String speaker = message.role().equals("user") ? "Human" : "Assistant";
            out.append("### ").append(speaker).append(": ").append(message.content()).append(' ');
        }
        return out.append("### Human: ")
                .append(turns.getFirst())
                .append(" ### Assistant:")
                .toString();
    }
}
