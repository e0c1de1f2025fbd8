package org.qlora4j.testing;

import static org.assertj.core.api.Assertions.assertThat;

import org.qlora4j.tensor.Tensor;

/** Comparison of tensors with a tolerance relative to the largest expected value. */
public final class Close {
    private Close() {}

    /**
     * Largest difference at most {@code relative} times the largest expected magnitude, or {@code
     * absolute}.
     */
    public static void assertClose(
            String what, Tensor actual, Tensor expected, double relative, double absolute) {
        assertThat(actual.shape()).as(what + ": shape").isEqualTo(expected.shape());
        float[] a = actual.toFloats();
        float[] e = expected.toFloats();
        double largest = 0;
        double worst = 0;
        int at = 0;
        for (int i = 0; i < e.length; i++) {
            largest = Math.max(largest, Math.abs(e[i]));
            double difference = Math.abs((double) a[i] - e[i]);
            if (!(difference <= worst)) { // NaN counts as worse
                worst = difference;
                at = i;
            }
        }
        double allowed = Math.max(relative * largest, absolute);
        assertThat(worst <= allowed)
                .as(
                        "%s: element %d is %s, expected %s; difference %s, allowed %s",
                        what,
                        at,
                        e.length == 0 ? 0 : a[at],
                        e.length == 0 ? 0 : e[at],
                        worst,
                        allowed)
                .isTrue();
    }
}
