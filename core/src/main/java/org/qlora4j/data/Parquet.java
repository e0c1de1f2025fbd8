package org.qlora4j.data;

import dev.hardwood.HardwoodContext;
import dev.hardwood.reader.ParquetFileReader;
import dev.hardwood.reader.RowReader;
import dev.hardwood.row.FieldAccessor;
import dev.hardwood.row.PqList;
import dev.hardwood.row.PqMap;
import dev.hardwood.row.PqStruct;
import dev.hardwood.row.StructAccessor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ExtraJar;
import org.qlora4j.error.FormatException;

/**
 * A Parquet file, row by row; the line of a record is its row, from 1. Integers become Long, floats
 * Double, structs and maps Map, lists List, dates and decimals their text.
 */
public record Parquet(Path file) implements Source {
    @Override
    public Rows open() {
        ExtraJar.HARDWOOD.requireFor(file);
        long bytes;
        try {
            bytes = Files.size(file);
        } catch (IOException e) {
            throw new FormatException(file + " cannot be read: " + e.getMessage(), e);
        }
        return new Watchdog(
                () -> new Records(file),
                bytes,
                why -> new FormatException(file + ": not a Parquet file that can be read: " + why));
    }

    private static final class Records implements Rows {
        private final Path file;
        private final HardwoodContext context = HardwoodContext.create(1);
        private @Nullable ParquetFileReader reader;
        private @Nullable RowReader rows;
        private int row;

        Records(Path file) {
            this.file = file;
        }

        /** Opens the file with the first row, so that whatever it has begun is closed. */
        private RowReader rows() {
            RowReader open = rows;
            if (open == null) {
                try {
                    reader = ParquetFileReader.open(new ParquetBytes(file), context);
                } catch (IOException e) {
                    throw unreadable(e);
                }
                open = reader.rowReader();
                rows = open;
            }
            return open;
        }

        @Override
        public @Nullable Row next() {
            try {
                RowReader open = rows();
                if (!open.hasNext()) {
                    return null;
                }
                if (++row > Objects.requireNonNull(reader).getFileMetaData().numRows()) {
                    throw new IllegalStateException("it has more rows than it says");
                }
                open.next();
                return new Row(file.toString(), row, fields(open), true);
            } catch (FormatException e) {
                throw e;
            } catch (RuntimeException e) { // the reader has no type of its own for damaged files
                throw unreadable(e);
            } catch (StackOverflowError | OutOfMemoryError e) { // sizes and depths of a damaged one
                throw unreadable(new IllegalStateException(e.toString(), e));
            }
        }

        private static Map<String, Object> fields(StructAccessor struct) {
            FieldAccessor names = struct;
            Map<String, Object> fields = new LinkedHashMap<>();
            for (int i = 0; i < names.getFieldCount(); i++) {
                put(fields, names.getFieldName(i), struct.getValue(i));
            }
            return fields;
        }

        @SuppressWarnings("NullAway") // a field may be null, as in JSON
        private static void put(Map<String, Object> fields, String name, @Nullable Object value) {
            fields.put(name, plain(value));
        }

        private static @Nullable Object plain(@Nullable Object value) {
            return switch (value) {
                case null -> null;
                case String text -> text;
                case Boolean flag -> flag;
                case Integer number -> number.longValue();
                case Long number -> number;
                case Float number -> number.doubleValue();
                case Double number -> number;
                case byte[] bytes -> new String(bytes, java.nio.charset.StandardCharsets.UTF_8);
                case PqStruct struct -> fields(struct);
                case PqList list -> {
                    List<@Nullable Object> items = new ArrayList<>(list.size());
                    list.values().forEach(item -> items.add(plain(item)));
                    yield items;
                }
                case PqMap map -> {
                    Map<String, Object> fields = new LinkedHashMap<>();
                    map.getEntries()
                            .forEach(e -> put(fields, String.valueOf(e.getKey()), e.getValue()));
                    yield fields;
                }
                default -> value.toString();
            };
        }

        private FormatException unreadable(Exception e) {
            String message = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
            return new FormatException(
                    "%s%s: not a Parquet file that can be read: %s"
                            .formatted(file, row == 0 ? "" : ": row " + row, message),
                    e);
        }

        @Override
        public void close() {
            try (context;
                    ParquetFileReader whole = reader;
                    RowReader open = rows) { // all are closed, the last first
            } catch (IOException | RuntimeException e) {
                throw unreadable(e);
            }
        }
    }
}
