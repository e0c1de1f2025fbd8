package org.qlora4j.app;

import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.UserException;

/**
 * A failure that the user can mend.
 *
 * @param lines what went wrong and the way out: one line, or one for each of several problems with
 *     the settings
 */
record Failure(List<String> lines) {
    /** Failures nest, but never this deep; a bound ends a cycle of causes. */
    private static final int MAX_CAUSES = 32;

    private static final String ALLOCATOR = "DefaultCPUAllocator: ";

    /**
     * Finds in {@code thrown} and its causes what the user can mend: a {@link UserException}, or
     * memory or disk that ran out. Empty means a defect of ours.
     */
    static Optional<Failure> of(Throwable thrown) {
        Throwable cause = thrown;
        for (int depth = 0; cause != null && depth < MAX_CAUSES; depth++) {
            Optional<Failure> found = ofOne(cause);
            if (found.isPresent()) {
                return found;
            }
            cause = cause.getCause();
        }
        return Optional.empty();
    }

    private static Optional<Failure> ofOne(Throwable cause) {
        if (cause instanceof ConfigException settings) {
            return Optional.of(
                    new Failure(settings.problems().stream().map(Failure::oneLine).toList()));
        }
        String message = oneLine(cause.getMessage());
        String line =
                switch (cause) {
                    case UserException _ -> message;
                    case InvalidPathException path -> "no path: " + oneLine(path.getMessage());
                    case OutOfMemoryError _ -> outOfMemory(message);
                    case IOException _ when isDiskFull(message) ->
                            "the disk is full (%s); free some space or write to another folder"
                                    .formatted(message);
                    // libtorch throws plain RuntimeExceptions; its text is all there is to tell
                    // them apart
                    case RuntimeException _ when isNativeOutOfMemory(message) ->
                            "out of memory (%s); use a smaller batch, shorter sequences or a smaller model"
                                    .formatted(firstSentence(message));
                    default -> null;
                };
        return Optional.ofNullable(line).map(List::of).map(Failure::new);
    }

    private static String outOfMemory(String message) {
        if (message.contains("Java heap space") || message.contains("GC overhead limit")) {
            long heapMib = Runtime.getRuntime().maxMemory() >> 20;
            return "the Java heap of %d MiB is full; give it more, e.g. QLORA_HEAP=%dm"
                    .formatted(heapMib, 2 * heapMib);
        }
        if (message.contains("unable to create native thread")) {
            return "the system refused another thread (%s); raise its limit (ulimit -u) or free memory"
                    .formatted(message);
        }
        return "out of memory (%s); use a smaller batch, shorter sequences or a smaller model"
                .formatted(firstSentence(message));
    }

    private static boolean isDiskFull(String message) {
        return message.contains("No space left on device")
                || message.contains("Disk quota exceeded")
                || message.contains("There is not enough space on the disk");
    }

    private static boolean isNativeOutOfMemory(String message) {
        return message.contains("not enough memory")
                || message.contains(ALLOCATOR + "can't allocate")
                || message.contains("CUDA out of memory");
    }

    /**
     * libtorch puts its source line before what happened, and advice on Python's settings behind.
     */
    private static String firstSentence(String message) {
        int allocator = message.indexOf(ALLOCATOR);
        String text = allocator < 0 ? message : message.substring(allocator + ALLOCATOR.length());
        int end = text.indexOf(". ");
        return end < 0 ? text : text.substring(0, end);
    }

    /** The message on one line; "no message" stands in for an absent one. */
    static String oneLine(@Nullable String message) {
        return message == null || message.isBlank()
                ? "no message"
                : VisibleWriter.visible(
                        message.strip().replaceAll("\\s*\\R\\s*", " "), false, false);
    }
}
