package org.qlora4j.config;

import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * Relative paths among the settings. One in a file, or the default, stands relative to the file's
 * folder, so that a configuration works from wherever it is called; one in a word or flag relative
 * to the working folder, as in any command. {@code ~/} is the home folder. The resolved path is
 * absolute.
 *
 * <p>A model or data set may also be a name that is no path ({@code org/model}, {@code alpaca}). It
 * is taken for a path if it is absolute, begins with {@code ./}, {@code ../} or {@code ~/}, ends
 * like a file of its kind, or exists.
 */
final class ConfigPaths {
    private ConfigPaths() {}

    private static final List<String> MODEL_FILES = List.of(".gguf", ".safetensors");
    private static final List<String> TEMPLATE_FILES = List.of(".jinja", ".jinja2", ".j2");
    private static final List<String> TASK_FILES = List.of(".yaml", ".yml", ".json", ".jsonl");
    private static final List<String> DATA_FILES =
            List.of(
                    ".json",
                    ".jsonl",
                    ".ndjson",
                    ".csv",
                    ".tsv",
                    ".parquet",
                    ".xlsx",
                    ".txt",
                    ".md",
                    ".gz",
                    ".zst");

    /**
     * Resolves the value of a key in its section of the tree; a no-op for keys that are no paths.
     */
    static void resolve(ObjectNode section, ConfigKeys.Key key, Path folder) {
        if (key.name().equals("data.dataset") || key.name().equals("data.eval_dataset")) {
            section.set(key.leaf(), dataset(section.path(key.leaf()), folder));
            return;
        }
        if (key.name().equals("eval.tasks")
                && section.path(key.leaf()) instanceof ArrayNode tasks) {
            for (int i = 0; i < tasks.size(); i++) {
                String task = tasks.get(i).asString();
                if (endsIn(task, TASK_FILES)) {
                    tasks.set(i, StringNode.valueOf(absolute(task, folder)));
                }
            }
            return;
        }
        if (!section.path(key.leaf()).isString()) {
            return;
        }
        String text = section.path(key.leaf()).stringValue();
        boolean isPath =
                !text.isBlank()
                        && switch (key.name()) {
                            case "train.output_dir" -> true;
                            case "model.model_name_or_path", "distill.teacher" ->
                                    isExplicit(text)
                                            || endsIn(text, MODEL_FILES)
                                            || exists(text, folder);
                            case "data.chat_template" ->
                                    isExplicit(text) || endsIn(text, TEMPLATE_FILES);
                            default -> false;
                        };
        if (isPath) {
            section.put(key.leaf(), absolute(text, folder));
        }
    }

    /** A text, an object with a {@code path}, or a list of these; other values as they are. */
    private static JsonNode dataset(JsonNode value, Path folder) {
        if (value.isString()) {
            String text = value.stringValue();
            boolean isPath =
                    !text.isBlank()
                            && (isExplicit(text)
                                    || endsIn(text, DATA_FILES)
                                    || text.contains("*")
                                    || exists(text, folder));
            return isPath ? StringNode.valueOf(absolute(text, folder)) : value;
        }
        if (value instanceof ObjectNode part && part.path("path").isString()) {
            ObjectNode resolved = part.deepCopy();
            resolved.set("path", dataset(part.path("path"), folder));
            return resolved;
        }
        if (value instanceof ArrayNode parts) {
            ArrayNode resolved = parts.deepCopy();
            for (int i = 0; i < parts.size(); i++) {
                resolved.set(i, dataset(parts.get(i), folder));
            }
            return resolved;
        }
        return value;
    }

    private static boolean isExplicit(String text) {
        String slashed = text.replace('\\', '/');
        return slashed.equals(".")
                || slashed.equals("..")
                || slashed.startsWith("./")
                || slashed.startsWith("../")
                || slashed.startsWith("~/")
                || slashed.startsWith("/")
                || slashed.matches("[A-Za-z]:/.*");
    }

    private static boolean endsIn(String text, List<String> endings) {
        return endings.stream().anyMatch(text.toLowerCase(Locale.ROOT)::endsWith);
    }

    private static boolean exists(String text, Path folder) {
        try {
            return Files.exists(folder.resolve(text));
        } catch (InvalidPathException e) {
            return false;
        }
    }

    private static String absolute(String text, Path folder) {
        try {
            Path path =
                    text.startsWith("~/")
                            ? Path.of(System.getProperty("user.home"), text.substring(2))
                            : folder.resolve(text);
            return path.toAbsolutePath().normalize().toString();
        } catch (InvalidPathException e) {
            return text; // left for the record, or whoever opens it, to refuse
        }
    }
}
