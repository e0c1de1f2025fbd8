package org.qlora4j.app.serve;

import static org.qlora4j.error.Require.require;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * How runs are started over HTTP.
 *
 * @param runs folder in which all lies that they read and write, but for the model
 * @param model that is served, and learns
 * @param settings of every run, as words: how the model is held
 * @param maxUploadBytes of a file of examples
 * @param free bytes of memory that this server leaves to the tensors of a run
 * @param processes in which they run
 */
public record TrainingConfig(
        Path runs,
        String model,
        List<String> settings,
        long maxUploadBytes,
        LongSupplier free,
        Processes processes) {
    /** Most bytes of a file of examples, unless told. */
    public static final long UPLOAD_BYTES = 256L << 20;

    public TrainingConfig {
        settings = List.copyOf(settings);
        require(
                maxUploadBytes >= 1,
                "the most bytes of a file must be at least 1, got %d",
                maxUploadBytes);
    }

    /** Further processes of the command. */
    public interface Processes {
        /** Begins {@code qlora} with these words; its errors go where its output goes. */
        Process start(List<String> words) throws IOException;

        /** Asks it to end, and waits as long as it may take to save. */
        void stop(Process process);
    }
}
