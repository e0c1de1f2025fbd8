package org.qlora4j.study;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.FileLocks;
import org.qlora4j.checkpoint.JsonNumber;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The folder of a study: a file for each cell that is measured. Several processes may work in one
 * folder: a cell is locked by the one that measures it, and the system frees the lock of one that
 * is killed.
 */
public final class StudyFolder {
    private static final JsonMapper JSON = new JsonMapper();
    private static final long LOOK_AGAIN = 500_000_000L; // ns

    private final Path folder;
    private final Study study;

    /** Names of the studies. */
    public static final List<String> STUDIES = Study.NAMES;

    /**
     * A study in a folder.
     *
     * @param folder made if it is not there
     * @param study one of {@link #STUDIES}
     * @param settings words {@code key=value} that go before those of the file
     * @throws ConfigException if settings cannot be used, or the folder holds cells of others
     */
    public static StudyFolder open(
            Path folder, String study, StudyConfig config, List<String> settings) {
        return new StudyFolder(folder, Study.of(study, config, settings));
    }

    private StudyFolder(Path folder, Study study) {
        this.folder = folder;
        this.study = study;
        try {
            Files.createDirectories(folder.resolve("cells"));
        } catch (IOException e) {
            throw new ConfigException("--out %s: %s".formatted(folder, e.getMessage()), e);
        }
        study.cells().forEach(this::read); // a mistake shows before the work
    }

    /** How many cells are not measured yet. */
    public int open() {
        return (int) study.cells().stream().filter(cell -> read(cell) == null).count();
    }

    /**
     * Measures what is not measured, and waits for what other processes are measuring.
     *
     * @param progress is told the name of each cell that begins
     * @return results by cell, in order
     */
    Map<StudyCell, StudyCell.Result> run(Consumer<String> progress) {
        List<StudyCell> open = new ArrayList<>(study.cells());
        while (true) {
            int before = open.size();
            open.removeIf(cell -> read(cell) != null || measure(cell, progress));
            if (open.isEmpty()) {
                break;
            }
            if (open.size() == before) {
                LockSupport.parkNanos(LOOK_AGAIN);
            }
        }
        Map<StudyCell, StudyCell.Result> results = new LinkedHashMap<>();
        for (StudyCell cell : study.cells()) {
            StudyCell.Result result = read(cell);
            if (result == null) {
                throw new ConfigException(file(cell) + " has vanished; run it again");
            }
            results.put(cell, result);
        }
        return results;
    }

    /**
     * Measures what is not measured, and writes {@code study.md}, {@code study.json} and {@code
     * study.svg}.
     *
     * @param progress as in {@link #run}
     */
    public StudyTable table(Consumer<String> progress) {
        StudyTable table = new StudyTable(run(progress));
        AtomicFiles.writeText(
                folder.resolve("study.md"), "# " + study.title() + "\n" + table.markdown());
        AtomicFiles.writeText(
                folder.resolve("study.json"), JSON.writeValueAsString(table.json()) + "\n");
        AtomicFiles.writeText(
                folder.resolve("study.svg"), StudyPlot.of(study.title(), table.rows()));
        return table;
    }

    private Path file(StudyCell cell) {
        return folder.resolve("cells").resolve(cell.name() + ".json");
    }

    /** Whether it was this process that measured the cell. */
    private boolean measure(StudyCell cell, Consumer<String> progress) {
        Path lock = folder.resolve("cells").resolve(cell.name() + ".lock");
        try (FileChannel channel =
                FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            if (!FileLocks.take(channel)) {
                return false;
            }
            if (read(cell) == null) {
                progress.accept(cell.name());
                write(cell, study.measure(cell, folder.resolve("runs").resolve(cell.name())));
            }
            Files.deleteIfExists(lock);
            return true;
        } catch (IOException e) {
            throw new UncheckedIOException(lock + ": " + e.getMessage(), e);
        }
    }

    private void write(StudyCell cell, StudyCell.Result result) {
        Map<String, Object> json = new LinkedHashMap<>();
        json.put("settings", study.stamp());
        json.put("cell", cell.facts());
        json.put("bits", result.bits());
        json.put("error", result.error());
        json.put("layers", result.layers());
        json.put("train_loss", result.trainLoss());
        json.put("perplexity", result.perplexity());
        json.put("texts", result.texts());
        AtomicFiles.writeText(file(cell), JSON.writeValueAsString(json) + "\n");
    }

    private StudyCell.@Nullable Result read(StudyCell cell) {
        Path file = file(cell);
        if (!Files.exists(file)) {
            return null;
        }
        JsonNode json;
        try {
            json = JSON.readTree(file.toFile());
        } catch (JacksonException e) {
            throw new FormatException(file + " is damaged; remove it to measure the cell anew", e);
        }
        if (!json.path("settings").asString("").equals(study.stamp())) {
            throw ConfigException.of(
                    "%s was measured with other settings; name another --out", file);
        }
        Map<String, Double> layers = new LinkedHashMap<>();
        json.path("layers").properties().forEach(e -> layers.put(e.getKey(), number(e.getValue())));
        List<double[]> texts = new ArrayList<>();
        json.path("texts")
                .forEach(text ->
                        texts.add(new double[] {number(text.path(0)), number(text.path(1))}));
        return new StudyCell.Result(
                number(json.path("bits")),
                number(json.path("error")),
                layers,
                texts,
                number(json.path("train_loss")));
    }

    /** JSON has no NaN: it stands there as text. */
    private static double number(JsonNode node) {
        return node.isNumber() ? JsonNumber.of(node) : Double.NaN;
    }
}
