package org.qlora4j.eval;

import java.util.Arrays;

/** A value between two bounds. */
public record Interval(double low, double high) {
    /** Standard normal deviation that 95% lie within. */
    public static final double Z95 = 1.96;

    /** The middle 95% of resampled values, by linear interpolation of their order statistics. */
    public static Interval middle95(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return new Interval(quantile(sorted, 0.025), quantile(sorted, 0.975));
    }

    /** The quantile of sorted values as NumPy's default method gives it. */
    static double quantile(double[] sorted, double share) {
        double at = share * (sorted.length - 1);
        int below = (int) at;
        int above = Math.min(below + 1, sorted.length - 1);
        return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    }
}
