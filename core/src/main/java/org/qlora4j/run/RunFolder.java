package org.qlora4j.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.AtomicFolder;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigWriter;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.tensor.PagedMemory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The folder of one run: {@code config.yaml} as resolved, {@code metrics.jsonl}, and {@code
 * checkpoint-N/} after N steps.
 *
 * @param path the folder
 */
public record RunFolder(Path path) {
    private static final Logger LOG = LoggerFactory.getLogger(RunFolder.class);
    private static final String CONFIG_FILE = "config.yaml";
    private static final Pattern CHECKPOINT = Pattern.compile("checkpoint-(\\d+)");
    private static final Pattern LEFTOVER =
            Pattern.compile("\\.(checkpoint-\\d+)\\.(tmp|old)-\\d+");

    /**
     * Refuses a path at which no new run can be made: only nothing, or an empty folder, may be
     * there.
     */
    public static void requireFree(Path path) {
        if (!Files.exists(path)) {
            return;
        }
        if (!Files.isDirectory(path)) {
            throw ConfigException.of("%s is a file; name a new folder as train.output_dir", path);
        }
        try (Stream<Path> files = Files.list(path)) {
            if (files.findAny().isPresent()) {
                throw ConfigException.of(
                        Files.exists(path.resolve(CONFIG_FILE))
                                ? "%s holds another run; go on with it by --resume, or name another train.output_dir"
                                : "%s is not empty; name a new folder as train.output_dir",
                        path);
            }
        } catch (IOException e) {
            throw unusable(path, e);
        }
    }

    /** Makes the folder of a new run, with its settings in it, or leaves nothing behind. */
    public static RunFolder create(Path path, RunConfig config) {
        requireFree(path);
        boolean existed = Files.exists(path);
        RunFolder folder = new RunFolder(path);
        try {
            Files.createDirectories(path);
            RunConfigWriter.write(config, folder.configFile());
            return folder;
        } catch (IOException e) {
            throw unusable(path, e);
        } catch (RuntimeException e) {
            if (!existed) {
                delete(path);
            }
            throw e;
        }
    }

    /** Takes {@link #create} back, for a run that could not begin. */
    public void abandon() {
        delete(path);
    }

    private static DeviceException unusable(Path path, IOException e) {
        return new DeviceException(
                "%s cannot be made the run folder: %s; name another train.output_dir"
                        .formatted(path, AtomicFiles.reason(e)),
                e);
    }

    /** Refuses a path at which no run is to go on with. */
    public static void requireRun(Path path) {
        if (!Files.isRegularFile(path.resolve(CONFIG_FILE))) {
            throw ConfigException.of(
                    "%s holds no run to resume; leave --resume out to begin one", path);
        }
    }

    /** The folder of a run that is to go on, rid of what a killed process left half-written. */
    public static RunFolder reopen(Path path) {
        RunFolder folder = new RunFolder(path);
        for (Path file : folder.files()) {
            Matcher leftover = LEFTOVER.matcher(String.valueOf(file.getFileName()));
            if (leftover.matches()) {
                AtomicFolder.clearUp(path.resolve(leftover.group(1)));
            }
        }
        PagedMemory.clearUp(path);
        return folder;
    }

    public Path configFile() {
        return path.resolve(CONFIG_FILE);
    }

    public Path metricsFile() {
        return path.resolve("metrics.jsonl");
    }

    public Path samplesFile() {
        return path.resolve("samples.jsonl");
    }

    public Path predictionsFile() {
        return path.resolve("predictions.jsonl");
    }

    public Path checkpoint(long step) {
        return path.resolve(nameOf(step));
    }

    /** Name of the folder with the checkpoint after so many steps. */
    static String nameOf(long step) {
        return "checkpoint-" + step;
    }

    /**
     * The checkpoint after the most steps that is whole; damaged ones are passed over with a
     * warning.
     */
    public Optional<RunCheckpoint> newestWhole() {
        for (Path folder : checkpoints()) {
            Optional<RunCheckpoint> whole = RunCheckpoint.ifWhole(folder);
            if (whole.isPresent()) {
                return whole;
            }
            LOG.warn("{} is not whole and is passed over", folder);
        }
        return Optional.empty();
    }

    /** Whether the run has come to a checkpoint, whole or not. */
    public boolean hasCheckpoints() {
        return !checkpoints().isEmpty();
    }

    /**
     * Deletes the oldest checkpoints beyond a number, but not that of the best evaluation; 0 keeps
     * all.
     *
     * @param step of the checkpoint saved last. Later ones are damaged, or the run would have gone
     *     on from them: they do not count, and are replaced when the run comes to their steps
     */
    public void keepNewest(int limit, long step, @Nullable BestEval best) {
        List<Path> folders = checkpoints().stream().filter(f -> step(f) <= step).toList();
        for (int i = limit; limit > 0 && i < folders.size(); i++) {
            if (best == null || step(folders.get(i)) != best.step()) {
                delete(folders.get(i));
            }
        }
    }

    /** Folders of checkpoints, newest first; none where the folder is not made yet. */
    private List<Path> checkpoints() {
        if (!Files.isDirectory(path)) {
            return List.of();
        }
        return files().stream()
                .filter(Files::isDirectory)
                .filter(f -> step(f) >= 0)
                .sorted(Comparator.comparingLong(RunFolder::step).reversed())
                .toList();
    }

    private List<Path> files() {
        try (Stream<Path> files = Files.list(path)) {
            return files.toList();
        } catch (IOException e) {
            throw new DeviceException(path + " cannot be read: " + AtomicFiles.reason(e), e);
        }
    }

    private static long step(Path folder) {
        Matcher matcher = CHECKPOINT.matcher(folder.getFileName().toString());
        return matcher.matches() && matcher.group(1).length() < 18
                ? Long.parseLong(matcher.group(1))
                : -1;
    }

    private static void delete(Path folder) {
        // the file that makes it whole goes first, so that a half deleted checkpoint is none
        try {
            Files.deleteIfExists(folder.resolve(RunCheckpoint.SEAL));
            try (Stream<Path> files = Files.list(folder)) {
                for (Path file : files.toList()) {
                    Files.delete(file);
                }
            }
            Files.delete(folder);
        } catch (IOException e) {
            LOG.warn("{} cannot be deleted: {}", folder, e.toString());
        }
    }
}
