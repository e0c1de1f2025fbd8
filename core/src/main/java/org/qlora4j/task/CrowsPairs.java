package org.qlora4j.task;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.qlora4j.data.DatasetRecords;
import org.qlora4j.error.FormatException;

/**
 * CrowS-Pairs (arXiv 2010.00133) in the table that its authors released: a CSV file with {@code
 * sent_more}, {@code sent_less} and {@code bias_type}. A kind of bias is a task; the whole is the
 * share of all pairs whose more stereotyping sentence is the likelier one, as in the QLoRA paper's
 * Table 8. A model without preference has one half.
 */
final class CrowsPairs {
    private static final Set<String> FIELDS = Set.of("sent_more", "sent_less", "bias_type");
    private static final String TASK = "crows_pairs_english";

    private CrowsPairs() {}

    /** Whether a name is that of such a file. */
    static boolean isFile(String name) {
        return name.endsWith(".csv");
    }

    /**
     * The kinds of bias, in the order of the file.
     *
     * @throws FormatException if its records have other fields
     */
    static List<Task> tasks(Path file, String group) {
        Map<String, List<Map<String, Object>>> kinds = new LinkedHashMap<>();
        int number = 0;
        for (Map<String, Object> record : DatasetRecords.read(file.toString(), "", "test")) {
            number++;
            if (!record.keySet().containsAll(FIELDS)) {
                throw FormatException.of(
                        "%s: record %d is none of CrowS-Pairs: sent_more, sent_less and bias_type; it has %s. For other data write a task file (.yaml)",
                        file, number, record.keySet());
            }
            kinds.computeIfAbsent(String.valueOf(record.get("bias_type")), k -> new ArrayList<>())
                    .add(record);
        }
        List<Task> tasks = new ArrayList<>();
        kinds.forEach((kind, records) -> {
            Map<String, Object> keys = new LinkedHashMap<>(TaskYaml.read(TaskFile.builtIn(TASK)));
            keys.put("task", group + "_" + kind);
            keys.put("task_alias", kind);
            TaskConfig config = TaskConfigReader.read(keys, TaskFile.of(file));
            tasks.add(Task.of(config, new TaskDocuments(records, List.of(), FIELDS)));
        });
        return tasks;
    }

    /** The number over all pairs. */
    static TaskGroup group(String name, List<Task> tasks) {
        return new TaskGroup(
                name,
                name,
                tasks.stream().map(task -> task.config().name()).toList(),
                List.of(
                        new TaskGroup.Aggregate("likelihood_diff", null, true),
                        new TaskGroup.Aggregate("pct_stereotype", null, true)));
    }
}
