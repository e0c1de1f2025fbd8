package org.qlora4j.app;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Keeps the stack trace of a defect in a file, so that the terminal gets one line. */
final class ErrorLog {
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss-SSS", Locale.ROOT);

    private ErrorLog() {}

    /**
     * Writes {@code qlora-error-TIME.log} into the first of these folders that can be written: the
     * run's, the current, the system's for temporary files.
     *
     * @return the file; null if none could be written
     */
    static @Nullable Path write(Throwable defect, List<String> args, @Nullable Path runFolder) {
        String name =
                "qlora-error-" + TIME.format(LocalDateTime.now(ZoneId.systemDefault())) + ".log";
        List<Path> folders =
                Stream.of(
                                runFolder,
                                Path.of("").toAbsolutePath(),
                                Path.of(System.getProperty("java.io.tmpdir")))
                        .filter(Objects::nonNull)
                        .filter(Files::isDirectory)
                        .toList();
        for (Path folder : folders) {
            Path file = folder.resolve(name);
            try (var out = new PrintWriter(Files.newBufferedWriter(file, StandardCharsets.UTF_8))) {
                write(defect, args, out);
                return file;
            } catch (IOException readOnly) {
                // the next folder may take it
            }
        }
        return null;
    }

    private static void write(Throwable defect, List<String> args, PrintWriter out) {
        out.println("qlora4j " + Version.current());
        out.println("arguments: " + String.join(" ", args));
        out.printf(
                "JDK %s, %s %s %s%n",
                Runtime.version(),
                System.getProperty("os.name"),
                System.getProperty("os.version"),
                System.getProperty("os.arch"));
        out.println();
        defect.printStackTrace(out);
    }
}
