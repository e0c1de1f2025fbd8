package org.qlora4j.autograd;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Time spent in each kind of operation on one thread, forward and backward. The time of a
 * checkpointed block includes the operations in it, which are counted under their own names too.
 */
public final class OperationTimes {
    private static final ThreadLocal<OperationTimes> OF_THREAD =
            ThreadLocal.withInitial(OperationTimes::new);

    /**
     * @param calls forward runs
     * @param forwardNanos time of all forward runs
     * @param backwardNanos time of all backward runs
     */
    public record Entry(long calls, long forwardNanos, long backwardNanos) {}

    private final Map<String, Entry> entries = new LinkedHashMap<>();

    private OperationTimes() {}

    public static OperationTimes ofThisThread() {
        return OF_THREAD.get();
    }

    void add(String operation, long forward, long backward) {
        entries.merge(
                operation,
                new Entry(forward > 0 ? 1 : 0, forward, backward),
                (a, b) ->
                        new Entry(
                                a.calls + b.calls,
                                a.forwardNanos + b.forwardNanos,
                                a.backwardNanos + b.backwardNanos));
    }

    /** The times so far, by operation. */
    public Map<String, Entry> snapshot() {
        return Map.copyOf(entries);
    }

    public void reset() {
        entries.clear();
    }
}
