package org.qlora4j.train;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
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
    private static final Pattern CHECKPOINT = Pattern.compile("checkpoint-(\\d+)");

    /** Makes the folder for a new run; it may exist, if it is empty. */
    static RunFolder create(Path path) {
        try {
            if (Files.isDirectory(path)) {
                try (Stream<Path> files = Files.list(path)) {
                    if (files.findAny().isPresent()) {
                        throw ConfigException.of(
                                Files.exists(path.resolve("config.yaml"))
                                        ? "%s holds another run; go on with it by --resume, or name another"
                                                + " train.output_dir"
                                        : "%s is not empty; name a new folder as train.output_dir",
                                path);
                    }
                }
            }
            Files.createDirectories(path);
            return new RunFolder(path);
        } catch (IOException e) {
            throw new DeviceException(
                    path
                            + " cannot be made the run folder: "
                            + e
                            + "; name another train.output_dir",
                    e);
        }
    }

    /** The folder of a run that is to go on. */
    static RunFolder reopen(Path path) {
        if (!Files.isRegularFile(path.resolve("config.yaml"))) {
            throw ConfigException.of(
                    "%s holds no run to resume; leave --resume out to begin one", path);
        }
        return new RunFolder(path);
    }

    Path configFile() {
        return path.resolve("config.yaml");
    }

    Path metricsFile() {
        return path.resolve("metrics.jsonl");
    }

    Path checkpoint(long step) {
        return path.resolve("checkpoint-" + step);
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

    /** Deletes the oldest checkpoints beyond a number; 0 keeps all. */
    void keepNewest(int limit) {
        List<Path> folders = checkpoints();
        for (int i = limit; limit > 0 && i < folders.size(); i++) {
            delete(folders.get(i));
        }
    }

    /** Folders of checkpoints, newest first. */
    private List<Path> checkpoints() {
        List<Path> folders = new ArrayList<>();
        try (Stream<Path> files = Files.list(path)) {
            files.filter(Files::isDirectory).filter(f -> step(f) >= 0).forEach(folders::add);
        } catch (IOException e) {
            throw new DeviceException(path + " cannot be read: " + e, e);
        }
        folders.sort(Comparator.comparingLong(RunFolder::step).reversed());
        return folders;
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
