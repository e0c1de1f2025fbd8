package org.qlora4j.data;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/** Reads a split of a data set as the records it holds, of whatever fields. */
public final class DatasetRecords {
    private DatasetRecords() {}

    /**
     * All records of a split, in the order of its files.
     *
     * @param path a file, folder, glob, or data set of the hub
     * @param name the configuration of a repository; empty for its default
     * @param split which part of a folder or repository
     * @throws FormatException if there are none, or a record is broken
     */
    public static List<Map<String, Object>> read(String path, String name, String split) {
        DatasetPart part = new DatasetPart(path, name, "", null, 0, Map.of(), null);
        List<Map<String, Object>> records = new ArrayList<>();
        for (Source source : SourceFiles.of(part, split, TextEncoding.FOUND, note -> {})) {
            try (Source.Rows rows = source.open()) {
                for (@Nullable Row row = rows.next(); row != null; row = rows.next()) {
                    records.add(row.fields());
                }
            }
        }
        if (records.isEmpty()) {
            throw FormatException.of("%s holds no records in its split %s", path, split);
        }
        return records;
    }
}
