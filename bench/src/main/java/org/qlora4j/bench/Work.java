package org.qlora4j.bench;

import org.openjdk.jmh.annotations.AuxCounters;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;

/**
 * What the calls of a benchmark did. JMH reports both counts as rates beside that of the calls;
 * with its unit, operations a nanosecond, they are billions a second.
 */
@State(Scope.Thread)
@AuxCounters(AuxCounters.Type.OPERATIONS)
public class Work {
    /** Weights, scores or values; the benchmark says which. */
    public long elements;

    /** Bytes of all tensors that the kernel must read or write, each once. */
    public long bytes;

    void add(long newElements, long newBytes) {
        elements += newElements;
        bytes += newBytes;
    }
}
