package org.qlora4j.task;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * A task file: one on the disk, or one that comes with the library.
 *
 * @param path on the disk; null for one of the library
 * @param name of a file of the library, without the ending
 */
record TaskFile(@Nullable Path path, String name) {
    private static final String ENDING = ".yaml";
    private static final long MOST_BYTES = 3 << 20; // the YAML library's own bound

    static TaskFile of(Path path) {
        return new TaskFile(path, "");
    }

    /** One of the library's own; whether it exists, {@link #exists} says. */
    static TaskFile builtIn(String name) {
        return new TaskFile(null, name);
    }

    boolean exists() {
        return path != null ? Files.isRegularFile(path) : BuiltInTasks.text(name) != null;
    }

    String text() {
        if (path == null) {
            String text = BuiltInTasks.text(name);
            if (text == null) {
                throw new FormatException("no task " + name + " comes with qlora4j");
            }
            return text;
        }
        try {
            if (Files.size(path) > MOST_BYTES) {
                throw FormatException.of(
                        "%s has %d bytes; a task file has at most %d",
                        path, Files.size(path), MOST_BYTES);
            }
            return Files.readString(path);
        } catch (IOException e) {
            throw new FormatException(path + " cannot be read as UTF-8 text: " + e.getMessage(), e);
        }
    }

    /** The file that this one names as beside it. */
    TaskFile sibling(String other) {
        return path != null
                ? of(beside(path, other))
                : builtIn(
                        other.endsWith(ENDING)
                                ? other.substring(0, other.length() - ENDING.length())
                                : other);
    }

    private static Path beside(Path path, String other) {
        try {
            return path.resolveSibling(other);
        } catch (InvalidPathException e) {
            throw new FormatException("%s: %s is no path".formatted(path, other), e);
        }
    }

    /** As messages name it. */
    @Override
    public String toString() {
        return path != null ? path.toString() : "task " + name;
    }
}
