package org.qlora4j;

import static org.qlora4j.error.Require.require;

/**
 * How many requests a {@link TextService} works on.
 *
 * @param streams answers at once, at least 1; a further request waits
 * @param promptPositions tokens of prompts that are read between two tokens of the answers under
 *     way, at least 1
 * @param queue requests that may wait; a further one is refused
 */
public record ServiceConfig(int streams, int promptPositions, int queue) {
    public static final ServiceConfig DEFAULT = new ServiceConfig(8, 256, 64);

    public ServiceConfig {
        require(streams >= 1 && streams <= 1024, "streams must be from 1 to 1024, got %d", streams);
        require(
                promptPositions >= 1,
                "prompt positions between two tokens must be at least 1, got %d",
                promptPositions);
        require(queue >= 0, "queue must be at least 0, got %d", queue);
    }
}
