package org.qlora4j.task;

import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.data.DatasetRecords;
import org.qlora4j.task.TaskConfig.DataSource;

/**
 * The documents of a task.
 *
 * @param evaluated those that are asked
 * @param fewshot those that examples are taken from
 * @param fields names that the evaluated ones have
 */
record TaskDocuments(
        List<Map<String, Object>> evaluated,
        List<Map<String, Object>> fewshot,
        Set<String> fields) {
    private static final Set<String> FORMATS = Set.of("json", "csv", "parquet");

    static TaskDocuments read(TaskConfig config, int numFewshot) {
        DataSource data = config.data();
        String evaluated = String.valueOf(data.evaluated());
        List<Map<String, Object>> documents = split(config, evaluated);
        if (config.processResults() == ResultRule.IFEVAL_RULES) {
            documents = InstructionRules.checkable(documents, config.name());
        }
        List<Map<String, Object>> fewshot = List.of();
        String split = fewshotSplit(config);
        if (numFewshot > 0) {
            if (config.fewshot().split() == null && config.fewshot().samples() != null) {
                fewshot = config.fewshot().samples();
            } else {
                fewshot = split.equals(evaluated) ? documents : split(config, split);
            }
        }
        if (documents.isEmpty()) {
            throw new TaskKeys(config.file().toString(), Map.of())
                    .wrong("the split %s has no documents", evaluated);
        }
        return new TaskDocuments(documents, fewshot, documents.getFirst().keySet());
    }

    /** The split of the examples; by the harness' rule where the file names none. */
    private static String fewshotSplit(TaskConfig config) {
        String named = config.fewshot().split();
        DataSource data = config.data();
        for (@Nullable String split :
                new @Nullable String[] {named, data.training(), data.validation()}) {
            if (split != null) {
                return split;
            }
        }
        return String.valueOf(data.evaluated());
    }

    private static List<Map<String, Object>> split(TaskConfig config, String split) {
        DataSource data = config.data();
        List<Map<String, Object>> records = new ArrayList<>();
        if (data.files().isEmpty() && !FORMATS.contains(data.path())) {
            records.addAll(DatasetRecords.read(dataset(config), data.name(), split));
        } else {
            List<String> files = data.files().get(split);
            if (files == null) {
                throw new TaskKeys(config.file().toString(), Map.of())
                        .wrong(
                                "data_files has no split %s; it has %s",
                                split, data.files().keySet());
            }
            for (String file : files) {
                records.addAll(DatasetRecords.read(beside(config, file), "", split));
            }
        }
        return withAllFields(records);
    }

    /** A data set that lies beside the task file, else as it is named. */
    private static String dataset(TaskConfig config) {
        return beside(config, config.data().path());
    }

    /** A path that exists beside the task file is meant from there. */
    private static String beside(TaskConfig config, String file) {
        Path path = config.file().path();
        if (path == null || file.indexOf('*') >= 0) {
            return file;
        }
        try {
            Path beside = path.resolveSibling(file);
            return Files.exists(beside) ? beside.toString() : file;
        } catch (InvalidPathException e) { // told where it is read
            return file;
        }
    }

    /** As a table has them: a field that a record lacks is null in it. */
    private static List<Map<String, Object>> withAllFields(List<Map<String, Object>> records) {
        Set<String> fields = new LinkedHashSet<>();
        records.forEach(record -> fields.addAll(record.keySet()));
        List<Map<String, Object>> out = new ArrayList<>(records.size());
        for (Map<String, Object> record : records) {
            if (record.size() == fields.size()) {
                out.add(record);
                continue;
            }
            Map<String, Object> whole = new LinkedHashMap<>();
            fields.forEach(field -> whole.put(field, record.get(field)));
            out.add(whole);
        }
        return out;
    }
}
