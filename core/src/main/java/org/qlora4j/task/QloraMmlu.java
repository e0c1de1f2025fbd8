package org.qlora4j.task;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.qlora4j.data.DatasetRecords;
import org.qlora4j.error.FormatException;
import org.qlora4j.task.TaskConfig.DataSource;
import org.qlora4j.task.TaskConfig.Fewshot;
import org.qlora4j.task.TaskConfig.Metric;
import org.qlora4j.task.TaskConfig.Prompt;

/**
 * MMLU in the files of qlora.py: JSON lines of {@code subject}, {@code input} (the whole prompt)
 * and {@code output} (a letter). Counted as its callback counts: prompt and letter become tokens
 * apart from each other, behind BOS; a subject is a task, and the whole is their unweighted mean.
 */
final class QloraMmlu {
    private static final Set<String> FIELDS = Set.of("subject", "input", "output");
    private static final List<String> LETTERS = List.of("A", "B", "C", "D");

    private QloraMmlu() {}

    /** Whether a name is that of such a file. */
    static boolean isFile(String name) {
        return name.endsWith(".json") || name.endsWith(".jsonl");
    }

    /**
     * The subjects of a file, in its order.
     *
     * @throws FormatException if its records have other fields
     */
    static List<Task> tasks(Path file, String group) {
        Map<String, List<Map<String, Object>>> subjects = new LinkedHashMap<>();
        int number = 0;
        for (Map<String, Object> record : DatasetRecords.read(file.toString(), "", "test")) {
            number++;
            if (!record.keySet().containsAll(FIELDS)
                    || !LETTERS.contains(String.valueOf(record.get("output")).strip())) {
                throw FormatException.of(
                        "%s: record %d is none of MMLU as qlora.py has it: subject, input and output, a letter from A to D; it has %s. For other data write a task file (.yaml)",
                        file, number, record.keySet());
            }
            subjects.computeIfAbsent(String.valueOf(record.get("subject")), s -> new ArrayList<>())
                    .add(record);
        }
        List<Task> tasks = new ArrayList<>();
        subjects.forEach((subject, records) -> tasks.add(task(file, group, subject, records)));
        return tasks;
    }

    private static Task task(
            Path file, String group, String subject, List<Map<String, Object>> records) {
        Prompt prompt = new Prompt("input", "{{output.strip()}}", LETTERS, "", "", "", null);
        TaskConfig config =
                new TaskConfig(
                        group + "_" + subject,
                        subject,
                        OutputType.MULTIPLE_CHOICE,
                        new DataSource(file.toString(), "", Map.of(), null, null, "test"),
                        prompt,
                        new Fewshot(null, null, true, prompt),
                        0,
                        new GenerationSettings(List.of(), 1, false, 1, 1),
                        1,
                        List.of(FilterChain.NONE),
                        List.of(new Metric("acc", Aggregation.MEAN, true, ExactMatch.PLAIN)),
                        null,
                        true,
                        "qlora.py",
                        TaskFile.of(file));
        return Task.of(config, new TaskDocuments(records, List.of(), FIELDS));
    }

    /** The number over all subjects. */
    static TaskGroup group(String name, List<Task> tasks) {
        return new TaskGroup(
                name,
                name,
                tasks.stream().map(task -> task.config().name()).toList(),
                List.of(new TaskGroup.Aggregate("acc", null, false)));
    }
}
