package org.qlora4j.app.serve;

import static org.qlora4j.error.Require.require;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How a model is served.
 *
 * @param host address to listen on
 * @param port 0 for any that is free
 * @param modelName under which the base model is asked for
 * @param maxBodyBytes of a request
 * @param timeout of a request, from its coming to its last token
 * @param runs folder of runs that the page shows; null for none
 * @param training how runs are started; null where they may not be
 */
public record ApiConfig(
        String host,
        int port,
        String modelName,
        int maxBodyBytes,
        Duration timeout,
        @Nullable Path runs,
        @Nullable TrainingConfig training) {
    /** This machine alone can ask. */
    public static final ApiConfig DEFAULT =
            new ApiConfig("127.0.0.1", 8080, "model", 4 << 20, Duration.ofMinutes(10), null, null);

    public ApiConfig {
        require(port >= 0 && port <= 65535, "--port must be from 0 to 65535, got %d", port);
        require(
                maxBodyBytes >= 1024,
                "the most bytes of a request must be at least 1024, got %d",
                maxBodyBytes);
        require(
                timeout.isPositive(),
                "--timeout must be at least a second, got %s",
                timeout.toSeconds());
    }

    /** These without a folder of runs. */
    public ApiConfig(String host, int port, String modelName, int maxBodyBytes, Duration timeout) {
        this(host, port, modelName, maxBodyBytes, timeout, null, null);
    }

    /** With a folder of runs. */
    public ApiConfig showing(@Nullable Path newRuns) {
        return new ApiConfig(host, port, modelName, maxBodyBytes, timeout, newRuns, training);
    }

    /** With runs that clients may start, in the folder that these name. */
    public ApiConfig allowing(TrainingConfig newTraining) {
        return new ApiConfig(
                host, port, modelName, maxBodyBytes, timeout, newTraining.runs(), newTraining);
    }

    /** Whether this machine alone can ask. */
    public boolean isLoopback() {
        return isLoopback(host);
    }

    static boolean isLoopback(String name) {
        return List.of("127.0.0.1", "localhost", "::1", "[::1]").contains(name);
    }

    /** Another address and name. */
    public ApiConfig at(String newHost, int newPort, String newModelName) {
        return new ApiConfig(newHost, newPort, newModelName, maxBodyBytes, timeout, runs, training);
    }
}
