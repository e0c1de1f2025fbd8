package org.qlora4j.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Writes settings with every key, as {@code config.yaml} of the run folder; {@link RunConfigReader}
 * gives them back.
 */
public final class RunConfigWriter {
    private RunConfigWriter() {}

    /** The settings as YAML, in the order of the records. */
    public static String toYaml(RunConfig config) {
        return ConfigMapper.YAML.writeValueAsString(config);
    }

    /** Writes the file anew; its folder must exist. */
    public static void write(RunConfig config, Path file) {
        try {
            Files.writeString(file, toYaml(config));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
