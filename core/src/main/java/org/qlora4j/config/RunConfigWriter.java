package org.qlora4j.config;

import java.nio.file.Path;
import org.qlora4j.checkpoint.AtomicFiles;

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

    /** Writes the file anew, whole or not at all; its folder must exist. */
    public static void write(RunConfig config, Path file) {
        AtomicFiles.writeText(file, toYaml(config));
    }
}
