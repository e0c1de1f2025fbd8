package org.qlora4j.bench.scale;

/**
 * The way from one process to the next in the ring.
 *
 * @param seconds that a message takes beside its bytes
 * @param bytesPerSecond in one direction
 */
record Link(String name, double seconds, double bytesPerSecond) {
    /** Bytes of gradients that are summed at once, as {@code Peers} of package world sums them. */
    static final long BUCKET = 16 << 20;

    /**
     * Seconds to add up a vector that all processes have: each part goes round the ring twice but
     * for the last hop (Patarasuk and Yuan, 2009), so that a process sends 2 (N - 1) / N of it.
     */
    double ring(int processes, long bytes) {
        double hop = seconds + bytes / (double) processes / bytesPerSecond;
        return 2 * (processes - 1) * hop;
    }

    /** Seconds of such sums one after the other. */
    double sum(int processes, long bytes, long bucket) {
        return bytes / bucket * ring(processes, bucket) + ring(processes, bytes % bucket);
    }

    /** Seconds for a message to the next process. */
    double send(long bytes) {
        return seconds + bytes / bytesPerSecond;
    }
}
