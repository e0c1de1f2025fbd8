package org.qlora4j.eval;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.qlora4j.data.DatasetRecords;
import org.qlora4j.error.FormatException;
import org.qlora4j.report.Html;

/**
 * Answers of several models to the same prompts beside each other, to be read: files of {@code
 * qlora generate --prompts}. Prompts are matched by their text; other fields, such as {@code
 * category} and {@code look_for}, are shown with them.
 */
public final class AnswersBeside {
    private static final List<String> NOT_SHOWN =
            List.of("prompt", "messages", "answer", "stop_reason", "new_tokens");

    private final List<String> names = new ArrayList<>();
    private final Map<String, Map<String, Object>> prompts = new LinkedHashMap<>();
    private final Map<String, List<String>> answers = new LinkedHashMap<>();

    /**
     * Reads files of answers; the prompts of the first are shown, in its order.
     *
     * @throws FormatException for a record without prompt or answer, or a file that lacks a prompt
     *     of the first
     */
    public AnswersBeside(List<Path> files) {
        for (Path file : files) {
            names.add(String.valueOf(file.getFileName()).replaceFirst("\\.jsonl$", ""));
            int number = 0;
            for (Map<String, Object> record : DatasetRecords.read(file.toString(), "", "train")) {
                number++;
                Object prompt = record.get(record.containsKey("prompt") ? "prompt" : "messages");
                if (prompt == null || !(record.get("answer") instanceof String answer)) {
                    throw FormatException.of(
                            "%s: record %d has no prompt and answer; it has %s. Make the file with qlora generate --prompts",
                            file, number, record.keySet());
                }
                String key = String.valueOf(prompt);
                if (names.size() == 1) {
                    prompts.put(key, record);
                    answers.put(key, new ArrayList<>());
                }
                List<String> own = answers.get(key);
                if (own != null && own.size() == names.size() - 1) {
                    own.add(answer);
                }
            }
            answers.forEach((prompt, own) -> {
                if (own.size() < names.size()) {
                    throw FormatException.of("%s has no answer to: %s", file, prompt);
                }
            });
        }
    }

    /** One page of HTML without outside parts. */
    public String html() {
        StringBuilder out = new StringBuilder();
        out.append(
                """
                <!doctype html>
                <html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
                <title>Answers beside each other</title>
                <style>
                :root { color-scheme: light dark; }
                body { font: 15px/1.5 system-ui, sans-serif; margin: 1rem auto; max-width: 75rem; padding: 0 1rem; }
                section { border-top: 1px solid #8888; padding: .6rem 0; }
                .row { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem; }
                h3 { font-size: .85rem; margin: .4rem 0 .1rem; opacity: .7; } p { margin: .1rem 0; white-space: pre-wrap; }
                small { opacity: .7; }
                </style>
                <h1>Answers beside each other</h1>
                """);
        prompts.forEach((key, record) -> {
            out.append("<section><p><b>").append(Html.escape(key)).append("</b></p>\n<p><small>");
            record.forEach((field, value) -> {
                if (!NOT_SHOWN.contains(field)) {
                    out.append(Html.escape(field.replace('_', ' ') + ": " + value)).append("\n");
                }
            });
            out.append("</small></p>\n<div class=\"row\">\n");
            List<String> own = Objects.requireNonNull(answers.get(key));
            for (int i = 0; i < names.size(); i++) {
                out.append(
                        "<div><h3>%s</h3><p>%s</p></div>%n"
                                .formatted(
                                        Html.escape(names.get(i)),
                                        Html.escape(String.valueOf(own.get(i)))));
            }
            out.append("</div></section>\n");
        });
        return out.append("</html>\n").toString();
    }

    /** How many prompts there are. */
    public int prompts() {
        return prompts.size();
    }
}
