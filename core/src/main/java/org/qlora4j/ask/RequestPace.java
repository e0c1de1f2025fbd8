package org.qlora4j.ask;

import java.time.Duration;

/**
 * When requests may go out: not more in a minute than allowed, and none while the other side asks
 * for a pause, which holds for all of them.
 */
final class RequestPace {
    private final long gap; // ns between two requests
    private long next = System.nanoTime();
    private long pausedUntil = next;

    /**
     * @param perMinute most requests a minute; 0 for no limit
     */
    RequestPace(int perMinute) {
        this.gap = perMinute == 0 ? 0 : Duration.ofMinutes(1).toNanos() / perMinute;
    }

    /** Waits until a request may go out. */
    void await() throws InterruptedException {
        while (true) {
            long wait;
            synchronized (this) {
                long now = System.nanoTime();
                wait = Math.max(next - now, pausedUntil - now);
                if (wait <= 0) {
                    next = Math.max(next, now) + gap;
                    return;
                }
            }
            Thread.sleep(Duration.ofNanos(wait));
        }
    }

    /** Lets no request out for so long. */
    synchronized void pause(Duration time) {
        pausedUntil = Math.max(pausedUntil, System.nanoTime() + time.toNanos());
    }
}
