package org.qlora4j.bench;

import org.qlora4j.tensor.Tensor;

/** Comparison of a kernel's answer with its twin's. A wrong answer is not timed. */
final class Answer {
    private Answer() {}

    /**
     * @param relative largest difference allowed, in units of the largest expected magnitude
     * @throws IllegalStateException if a value is further off, or NaN
     */
    static void requireClose(String what, Tensor actual, Tensor expected, double relative) {
        float[] a = actual.toFloats();
        float[] e = expected.toFloats();
        if (a.length != e.length) {
            throw new IllegalStateException(
                    "%s: %d values, expected %d".formatted(what, a.length, e.length));
        }
        double largest = 0;
        for (float value : e) {
            largest = Math.max(largest, Math.abs(value));
        }
        for (int i = 0; i < e.length; i++) {
            if (!(Math.abs((double) a[i] - e[i]) <= relative * largest)) { // NaN is not
                throw new IllegalStateException(
                        "%s: element %d is %s, expected %s within %.1e of %s"
                                .formatted(what, i, a[i], e[i], relative, largest));
            }
        }
    }

    /**
     * @throws IllegalStateException if two values differ
     */
    static void requireSame(String what, Tensor actual, Tensor expected) {
        requireClose(what, actual, expected, 0);
    }
}
