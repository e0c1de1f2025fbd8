package org.qlora4j.spark;

import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.api.java.JavaSparkContext;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Trainer;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.UserException;
import org.qlora4j.run.MetricsFile;
import org.qlora4j.run.RunFolder;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.TrainResult;

/** Runs that differ in settings, a task each, and a table of what came of them. */
public final class SweepJob {
    private SweepJob() {}

    /**
     * A run.
     *
     * @param name of the folder that it writes, under that of the sweep
     * @param settings as key=value, without {@code train.output_dir}
     */
    public record Cell(String name, List<String> settings) implements Serializable {
        public Cell {
            settings = List.copyOf(settings);
            if (!name.matches("[A-Za-z0-9._-]{1,100}") || name.startsWith(".")) {
                throw ConfigException.of(
                        "a run's name has letters, digits, '.', '_' and '-', got %s", name);
            }
        }
    }

    /**
     * What came of a run.
     *
     * @param steps done
     * @param loss of the last logged step
     * @param evalLoss the best on held-out examples; null where there was no evaluation
     * @param seconds of training and saving, those of the task that ended it
     * @param error in one line; null if it went well
     */
    public record Row(
            String name,
            List<String> settings,
            long steps,
            double loss,
            @Nullable Double evalLoss,
            double seconds,
            @Nullable String error)
            implements Serializable {
        /** As a line of JSON has it. */
        public Map<String, @Nullable Object> json() {
            Map<String, @Nullable Object> out = new LinkedHashMap<>();
            out.put("name", name);
            out.put("settings", settings);
            out.put("steps", steps);
            out.put("loss", Double.isFinite(loss) ? loss : null);
            out.put("eval_loss", evalLoss);
            out.put("seconds", Math.round(seconds * 10) / 10.0);
            out.put("error", error);
            return out;
        }
    }

    /**
     * Runs all cells. A task that is lost is done again elsewhere and goes on from the run's newest
     * checkpoint, exactly; so does a sweep that is started again.
     *
     * @param folder that all executors see; a run folder each is written there
     * @param common settings of all runs; a cell's own win
     * @return a row for each cell, in their order
     */
    public static List<Row> run(
            JavaSparkContext spark, Path folder, List<String> common, List<Cell> cells) {
        if (cells.stream().map(Cell::name).distinct().count() < cells.size()) {
            throw new ConfigException("two runs of a sweep have the same name");
        }
        String root = folder.toAbsolutePath().toString();
        List<String> shared = new ArrayList<>(common);
        Row[] rows = new Row[cells.size()];
        Parts.of(
                spark,
                cells,
                1,
                part -> List.of(row(Path.of(root), shared, part.getFirst())),
                (at, row) -> rows[at] = row);
        return List.copyOf(Arrays.asList(rows));
    }

    private static Row row(Path root, List<String> common, Cell cell) {
        Path out = root.resolve(cell.name);
        List<String> words = new ArrayList<>(common);
        words.addAll(cell.settings);
        words.add("train.output_dir=" + out);
        try {
            RunConfig config = RunConfig.of(words.toArray(String[]::new));
            RunFolder folder = new RunFolder(out);
            boolean resume = Files.exists(folder.configFile());
            TrainResult result = new Trainer(config, resume, RunListener.NONE).run();
            Double eval = result.best() == null ? null : result.best().value();
            double loss =
                    new MetricsFile(folder.metricsFile())
                            .lastStep()
                            .map(line -> line.path("loss").asDouble(Double.NaN))
                            .orElse(Double.NaN);
            return new Row(
                    cell.name, cell.settings, result.steps(), loss, eval, result.seconds(), null);
        } catch (UserException e) { // of this cell alone
            return new Row(
                    cell.name,
                    cell.settings,
                    0,
                    Double.NaN,
                    null,
                    0,
                    String.valueOf(e.getMessage()));
        }
    }
}
