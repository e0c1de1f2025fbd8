package org.qlora4j.task;

import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Tasks and groups that come with the library, by the names that the harness gives them: files in
 * its format, and such files made for the subjects of MMLU, BIG-Bench Hard and AGIEval.
 */
final class BuiltInTasks {
    private static final String ENDING = ".yaml";

    /** Names of those that stand in a file, in the order in which they are listed. */
    private static final List<String> FILES =
            List.of(
                    "mmlu",
                    "arc_easy",
                    "arc_challenge",
                    "hellaswag",
                    "piqa",
                    "winogrande",
                    "boolq",
                    "truthfulqa_mc1",
                    "truthfulqa_mc2",
                    "gsm8k",
                    "bbh_zeroshot",
                    "bbh_cot_zeroshot",
                    "agieval",
                    "ifeval_rules",
                    "crows_pairs_english",
                    "lambada_openai",
                    "wikitext");

    /** Subjects by group. */
    private static final Map<String, List<String>> SUBJECTS = subjects();

    private BuiltInTasks() {}

    /** The names that are listed to users: one for all subjects. */
    static List<String> names() {
        return FILES;
    }

    /** The text of a task file; null if nothing has that name. */
    static @Nullable String text(String name) {
        String mmlu = name.startsWith("mmlu_") ? name.substring("mmlu_".length()) : "";
        List<String> subjects = SUBJECTS.get(mmlu);
        if (subjects != null) {
            return group(mmlu, subjects);
        }
        if (SUBJECTS.values().stream().anyMatch(all -> all.contains(mmlu))) {
            return subject(mmlu);
        }
        String made = name.startsWith("bbh_") ? BbhTasks.text(name) : AgiEvalTasks.text(name);
        if (made != null) {
            return made;
        }
        try (InputStream in = BuiltInTasks.class.getResourceAsStream(name + ENDING)) {
            return in == null ? null : new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String group(String name, List<String> subjects) {
        List<String> tasks = subjects.stream().map(subject -> "mmlu_" + subject).toList();
        return """
        group: mmlu_%s
        group_alias: %s
        task: [%s]
        aggregate_metric_list:
          - {metric: acc, weight_by_size: true}
        """
                .formatted(name, name.replace('_', ' '), String.join(", ", tasks));
    }

    private static String subject(String name) {
        String words = name.replace('_', ' ');
        return """
        include: _mmlu.yaml
        task: mmlu_%s
        task_alias: %s
        dataset_name: %s
        description: "The following are multiple choice questions (with answers) about %s.\\n\\n"
        """
                .formatted(name, name, name, words);
    }

    private static Map<String, List<String>> subjects() {
        Properties properties = properties("mmlu_subjects.properties");
        Map<String, List<String>> out = new TreeMap<>();
        for (String group : properties.stringPropertyNames()) {
            out.put(group, new ArrayList<>(List.of(properties.getProperty(group).split(","))));
        }
        return out;
    }

    /** Names with values, of a file that ships with the library. */
    static Properties properties(String file) {
        Properties properties = new Properties();
        try (InputStream in = BuiltInTasks.class.getResourceAsStream(file);
                InputStreamReader reader =
                        new InputStreamReader(
                                Objects.requireNonNull(in, "it ships with the library"),
                                StandardCharsets.UTF_8)) {
            properties.load(reader);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return properties;
    }
}
