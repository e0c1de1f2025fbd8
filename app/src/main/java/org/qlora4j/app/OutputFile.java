package org.qlora4j.app;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.error.ConfigException;
import tools.jackson.databind.json.JsonMapper;

/** A file of JSON Lines that a command writes, whole or not at all. */
final class OutputFile {
    private static final JsonMapper JSON = new JsonMapper();

    private OutputFile() {}

    /**
     * Throws, before the work, if the file could not be written after it: it exists and may not be
     * replaced, or its folder does not exist.
     */
    static void require(Path file, boolean overwrite) {
        if (Files.isDirectory(file)) {
            throw ConfigException.of("--out %s is a folder; name a file in it", file);
        }
        if (Files.exists(file) && !overwrite) {
            throw ConfigException.of(
                    "--out %s exists; add --overwrite to replace it, or name another file", file);
        }
        Path folder = file.toAbsolutePath().getParent();
        if (folder == null || !Files.isDirectory(folder)) {
            throw ConfigException.of("--out %s: its folder does not exist; make it", file);
        }
    }

    /** Makes the folder that --out names, unless it is there. */
    static Path folder(Path out) {
        try {
            return Files.createDirectories(out);
        } catch (IOException e) {
            throw ConfigException.of("--out %s cannot be made a folder: %s", out, e.toString());
        }
    }

    /** One value a line, as JSON. */
    static void write(Path file, List<?> lines) {
        StringBuilder text = new StringBuilder();
        for (Object line : lines) {
            text.append(JSON.writeValueAsString(line)).append('\n');
        }
        AtomicFiles.writeText(file, text.toString());
    }
}
