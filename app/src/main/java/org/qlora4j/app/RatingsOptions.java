package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.qlora4j.eval.Ratings;
import picocli.CommandLine.Option;

/** {@code --ratings} and {@code --reference}, the same in every command that reads ratings. */
final class RatingsOptions {
    @Option(
            names = "--ratings",
            required = true,
            arity = "1..*",
            paramLabel = "DIR",
            description =
                    "Folders of files named A-vs-B-JUDGE-reviewer.jsonl, in the layout of the paper's ratings.")
    List<Path> folders = new ArrayList<>();

    @Option(
            names = "--reference",
            paramLabel = "SYSTEM",
            description =
                    "System that others are scored beside; the one in most files, if not told.")
    @Nullable String reference;

    /** Reads them, and says on {@code err} what was dropped or guessed. */
    Ratings read(PrintWriter err) {
        Ratings ratings = Ratings.read(folders, reference);
        if (ratings.dropped() > 0) {
            err.printf("%d ratings without a verdict are left out%n", ratings.dropped());
        }
        if (!ratings.orderByName().isEmpty()) {
            err.printf(
                    "no answer id tells which answer was shown first; the names do, as in the paper's files: %s%n",
                    ratings.orderByName().stream()
                            .map(p -> p.getFileName().toString())
                            .collect(Collectors.joining(", ")));
        }
        return ratings;
    }
}
