package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Answer;
import org.qlora4j.LanguageModel;
import org.qlora4j.Prompt;
import org.qlora4j.data.Row;
import org.qlora4j.data.Source;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.BeamConfig;
import org.qlora4j.generate.GenerationConfig;
import tools.jackson.databind.json.JsonMapper;

/**
 * {@code qlora generate --prompts}: a file of prompts, each a line with {@code prompt} or {@code
 * messages}, to a file of the same lines with {@code answer}, {@code stop_reason} and {@code
 * new_tokens} added.
 */
record PromptFile(Path prompts, Path out, int batch) {
    private static final JsonMapper JSON = JsonMapper.shared();

    /**
     * Reads and checks the prompts, before a model is loaded.
     *
     * @throws org.qlora4j.error.FormatException with the line of a record that is no prompt
     */
    List<Row> read() {
        List<Row> rows = new ArrayList<>();
        try (Source.Rows source = Source.of(prompts).open()) {
            for (Row row = source.next(); row != null; row = source.next()) {
                prompt(row, null, false); // for its errors
                rows.add(row);
            }
        }
        if (rows.isEmpty()) {
            throw ConfigException.of("%s holds no prompt", prompts);
        }
        return rows;
    }

    /**
     * Says what is taken over of the answers that a run before this has kept.
     *
     * @param kept of which those to other prompts or settings are of no use
     * @param overwrite whether they may be dropped if none is of use
     * @param dependsOn what answers depend on beside their prompts, such as the model
     */
    void take(
            PartialAnswers kept,
            boolean overwrite,
            String dependsOn,
            List<Row> rows,
            PrintWriter err) {
        List<String> keys = new ArrayList<>();
        for (Row row : rows) { // their places too, which give them their seeds
            String own = JSON.writeValueAsString(row.fields());
            keys.add(String.join("\n", dependsOn, "" + batch, "" + keys.size(), own));
        }
        int usable = kept.expect(keys);
        if (usable > 0) {
            err.printf(
                    Locale.ROOT,
                    "%d of %d answers are taken from %s%n",
                    usable,
                    rows.size(),
                    kept.file());
        } else if (kept.isEmpty() || overwrite) {
            kept.forget();
        } else {
            throw ConfigException.of(
                    "%s holds answers to other prompts, or of another model or other settings; give"
                            + " those of then, add --overwrite to drop them, or name another --out",
                    kept.file());
        }
    }

    /**
     * Answers the prompts that have no answer yet, and writes the file.
     *
     * @param raw whether texts are continued as they stand, without the chat template
     * @param search of one beam for none; else prompts are answered one by one
     * @param kept takes each answer at once
     * @return a line that says what was done
     */
    String answer(
            LanguageModel model,
            List<Row> rows,
            @Nullable String system,
            boolean raw,
            GenerationConfig config,
            BeamConfig search,
            PartialAnswers kept,
            PrintWriter err) {
        boolean plain = raw || (system == null && !model.hasChatTemplate());
        long own = system == null ? 0 : ownSystems(rows);
        if (own > 0) {
            err.printf(
                    Locale.ROOT, "--system is left out of %d prompts with one of their own%n", own);
        }
        List<Prompt> asked = rows.stream().map(row -> prompt(row, system, plain)).toList();
        boolean[] known = new boolean[rows.size()];
        long[] count = new long[2];
        for (int i = 0; i < known.length; i++) {
            known[i] = kept.get(i) != null;
            count[0] += known[i] ? 1 : 0;
        }
        long start = System.nanoTime();
        try (StatusLine status = new StatusLine(err, Terminal::current)) {
            BiConsumer<Integer, Answer> onAnswer =
                    (index, answer) -> {
                        kept.add(index, PartialAnswers.Line.of(answer));
                        count[0]++;
                        count[1] += answer.newTokens();
                        status.update(line(count, rows.size(), start));
                    };
            if (search.numBeams() == 1) {
                model.generateAll(asked, config, batch, index -> !known[index], onAnswer);
            }
            for (int i = 0; search.numBeams() > 1 && i < known.length; i++) {
                if (!known[i]) {
                    onAnswer.accept(
                            i, model.generateBeams(asked.get(i), config, search).getFirst());
                }
            }
        }
        OutputFile.write(out, lines(rows, kept));
        kept.delete();
        return out + ": " + line(count, rows.size(), start);
    }

    private static List<?> lines(List<Row> rows, PartialAnswers kept) {
        List<Map<String, @Nullable Object>> lines = new ArrayList<>();
        for (int i = 0; i < rows.size(); i++) {
            PartialAnswers.Line answer = Objects.requireNonNull(kept.get(i), "all are answered");
            Map<String, @Nullable Object> line = new LinkedHashMap<>(rows.get(i).fields());
            line.put("answer", answer.answer());
            line.put("stop_reason", answer.stopReason());
            line.put("new_tokens", answer.newTokens());
            lines.add(line);
        }
        return lines;
    }

    private static String line(long[] count, int all, long start) {
        double seconds = (System.nanoTime() - start) / 1e9;
        return String.format(
                Locale.ROOT,
                "%d/%d answers, %d tokens in %.0f s (%.0f/s)",
                count[0],
                all,
                count[1],
                seconds,
                count[1] / seconds);
    }

    private static Prompt prompt(Row row, @Nullable String system, boolean plain) {
        Map<String, Object> fields = row.fields();
        if (fields.containsKey("messages") || fields.containsKey("conversations")) {
            require(row, fields.containsKey("messages") ? "messages" : "conversations");
            return new Prompt.OfRecord(row, system);
        }
        boolean conversational = fields.get("prompt") instanceof List<?>;
        if (conversational) {
            require(row, "prompt");
        }
        if (plain && !conversational) {
            return new Prompt.Raw(row.text("prompt"));
        }
        // a prompt is a chat of one message, beside which may stand what training data has
        Object messages =
                conversational
                        ? fields.get("prompt")
                        : List.of(Map.of("role", "user", "content", row.text("prompt")));
        Map<String, Object> chat = new LinkedHashMap<>(fields);
        chat.remove("prompt");
        chat.put("messages", messages);
        return new Prompt.OfRecord(new Row(row.file(), row.line(), chat), system);
    }

    /** Checks before a model is loaded that a field holds messages. */
    private static void require(Row row, String field) {
        Object value = row.fields().get(field);
        boolean isText = value instanceof String text && text.startsWith("[");
        if (!isText && !(value instanceof List<?> list && !list.isEmpty())) {
            throw row.error("field %s must be a list of {role, content}", field);
        }
        int place = 0;
        for (Object message : value instanceof List<?> list ? list : List.of()) {
            boolean hasRole =
                    message instanceof Map<?, ?> map
                            && (map.get("role") instanceof String
                                    || map.get("from") instanceof String);
            if (!hasRole) {
                throw row.error("%s[%d] must be an object {role, content}", field, place);
            }
            place++;
        }
    }

    /** How many of the prompts bring a system message, over that of the command line. */
    private static long ownSystems(List<Row> rows) {
        return rows.stream()
                .filter(row ->
                        row.fields().get("messages") instanceof List<?> list
                                && !list.isEmpty()
                                && list.getFirst() instanceof Map<?, ?> first
                                && "system".equals(first.get("role")))
                .count();
    }
}
