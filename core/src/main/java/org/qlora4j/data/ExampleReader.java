package org.qlora4j.data;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Preparation;
import org.qlora4j.tokenize.Tokenizer;

/** Reads the parts of a data set, file by file, into a store of examples. */
final class ExampleReader {
    /** Records made examples at once, by all cores. */
    private static final int BLOCK = 64;

    private final DataConfig config;
    private final TextEncoding encoding;
    private final Tokenizer tokenizer;
    private final SpecialIds special;
    private final Layout layout;
    private final @Nullable ChatRenderer template;
    private final ExampleStore store;
    private final DataStats.Counter counter = new DataStats.Counter();
    private final List<String> descriptions = new ArrayList<>();
    private final Set<PromptForm> forms = EnumSet.noneOf(PromptForm.class);
    private String lastClause = "";

    ExampleReader(
            DataConfig config,
            Tokenizer tokenizer,
            SpecialIds special,
            Layout layout,
            @Nullable ChatRenderer template,
            ExampleStore store) {
        this.config = config;
        this.encoding = TextEncoding.of(config);
        this.tokenizer = tokenizer;
        this.special = special;
        this.layout = layout;
        this.template = template;
        this.store = store;
    }

    DataStats stats() {
        return counter.stats();
    }

    /** What stands around prompts, in any of the files. */
    Set<PromptForm> forms() {
        return forms;
    }

    /** For each file its format and how that was found, as long as it does not repeat itself. */
    String description() {
        return String.join("; ", descriptions);
    }

    /**
     * Adds the examples of a part.
     *
     * @param records what the part stands for; null for the files that it names
     * @param split of a folder or repository that is wanted if the part names none
     * @param limit records to read at most
     * @return records read
     */
    int read(DatasetPart part, @Nullable Records records, String split, int limit) {
        int most = part.maxSamples() == 0 ? limit : Math.min(limit, part.maxSamples());
        int read = 0;
        List<Source> sources =
                records != null
                        ? List.of(records)
                        : SourceFiles.of(part, split, encoding, counter::note);
        for (Source source : sources) {
            if (read == most) {
                break;
            }
            read += read(source, part, most - read);
        }
        return read;
    }

    private int read(Source source, DatasetPart part, int limit) {
        String reading = "reading " + source.file().getFileName();
        try (Source.Rows rows = source.open();
                Preparation stage = Preparation.begin(reading, 0, "records")) {
            counter.file();
            int faults = counter.faults().size();
            Row row = next(rows);
            if (row == null) {
                throw empty(source, faults);
            }
            Map<String, String> given =
                    part.columns().isEmpty() ? config.columns() : part.columns();
            ToldFormat format = ToldFormat.of(part.datasetFormat(), config, source, layout);
            while (config.onBadData() == BadData.SKIP
                    && given.isEmpty()
                    && !format.isTold()
                    && isOfNoFormat(row)) {
                row = next(rows);
                if (row == null) {
                    throw empty(source, faults);
                }
            }
            ColumnMap columns =
                    given.isEmpty() && format.isTold()
                            ? ColumnMap.NONE
                            : ColumnMap.of(given, row, template != null);
            RecordEncoder encoder =
                    new RecordEncoder(
                            columns.apply(row),
                            format,
                            config,
                            tokenizer,
                            special,
                            layout,
                            template,
                            counter);
            forms.add(encoder.form());
            describe(source, encoder.description() + columns.describe());
            int read = 0;
            while (row != null) {
                List<Row> block = new ArrayList<>(BLOCK);
                FormatException broken = null;
                try {
                    while (row != null && block.size() < BLOCK) {
                        block.add(row);
                        read++;
                        row = read < limit ? next(rows) : null;
                    }
                } catch (FormatException e) { // told after the faults of the records before it
                    broken = e;
                }
                encoder.encode(block.stream().map(columns::apply).toList()).forEach(store::add);
                stage.at(read);
                if (broken != null) {
                    throw broken;
                }
            }
            rows.notes().forEach(counter::note);
            return read;
        }
    }

    /**
     * The error for a file without a record to learn from.
     *
     * @param before faults of the files before it
     */
    private FormatException empty(Source source, int before) {
        List<String> faults = counter.faults().subList(before, counter.faults().size());
        return faults.isEmpty()
                ? FormatException.of(
                        "%s holds no %s; it must have one at least",
                        source.file(), source instanceof Texts ? "text" : "records")
                : FormatException.of(
                        "%s holds no record without a fault, of %d; the first: %s",
                        source.file(), faults.size(), faults.getFirst());
    }

    /** Whether a record tells no format, which is then told as its fault. */
    private boolean isOfNoFormat(Row row) {
        try {
            DatasetFormat.of(ColumnMap.of(Map.of(), row, template != null).apply(row));
            return false;
        } catch (FormatException e) {
            counter.fault(String.valueOf(e.getMessage()));
            return true;
        }
    }

    /** The next record that can be read, where faults are skipped and the reader can go on. */
    private @Nullable Row next(Source.Rows rows) {
        while (true) {
            try {
                return rows.next();
            } catch (FormatException e) {
                if (config.onBadData() != BadData.SKIP || !rows.goesOn()) {
                    throw e;
                }
                counter.fault(String.valueOf(e.getMessage()));
            }
        }
    }

    /** Adds a line for a file, unless it says of it what the one before said of its own. */
    private void describe(Source source, String line) {
        String clause = line.replace(source.file().toString(), "");
        if (!clause.equals(lastClause)) {
            descriptions.add(line);
            lastClause = clause;
        }
    }
}
