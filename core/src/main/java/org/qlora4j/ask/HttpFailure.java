package org.qlora4j.ask;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/** A request that brought no reply. */
final class HttpFailure extends Exception {
    /** What it was, and whether another try may bring a reply. */
    enum Kind {
        LIMIT("rate limits (429)", true),
        TIMEOUT("timeouts", true),
        CONNECTION("broken connections", true),
        SERVER("server errors", true),
        REPLY("replies that were no JSON of a chat", true),
        REFUSED("refusals", false);

        private final String words;
        private final boolean passing;

        Kind(String words, boolean passing) {
            this.words = words;
            this.passing = passing;
        }

        String words() {
            return words;
        }

        boolean passes() {
            return passing;
        }
    }

    private final Kind kind;
    private final @Nullable Duration retryAfter;

    /**
     * @param retryAfter that the other side asks for; null if it names none
     */
    HttpFailure(Kind kind, String message, @Nullable Duration retryAfter) {
        super(message, null, false, false);
        this.kind = kind;
        this.retryAfter = retryAfter;
    }

    Kind kind() {
        return kind;
    }

    @Nullable Duration retryAfter() {
        return retryAfter;
    }
}
