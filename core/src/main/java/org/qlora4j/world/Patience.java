package org.qlora4j.world;

import java.util.concurrent.TimeUnit;

/**
 * How long something has not happened. A pause of the process that counts does not count: after a
 * stop and a go on (Ctrl-Z, a laptop that slept) everybody gets the whole time again.
 */
final class Patience {
    private static final long LONGEST_GAP = TimeUnit.SECONDS.toNanos(5);

    private long last = System.nanoTime();
    private long waited;

    /** It has happened. */
    void reset() {
        last = System.nanoTime();
        waited = 0;
    }

    /** Nanoseconds since it happened, as far as somebody was there to see it. */
    long waited() {
        long now = System.nanoTime();
        waited = now - last > LONGEST_GAP ? 0 : waited + (now - last);
        last = now;
        return waited;
    }
}
