package org.qlora4j.eval;

import org.qlora4j.metric.Correlation;

/** How alike two rankings of the same systems are: 1 the same, 0 unrelated, -1 reversed. */
public final class RankCorrelation {
    private RankCorrelation() {}

    /**
     * Kendall's tau-b, which counts pairs of systems in the same order and corrects for ties.
     *
     * @return NaN if one side says nothing (all values equal, or fewer than two)
     */
    public static double kendall(double[] x, double[] y) {
        requireSameLength(x, y);
        double agree = 0;
        double orderedX = 0;
        double orderedY = 0;
        for (int i = 0; i < x.length; i++) {
            for (int j = i + 1; j < x.length; j++) {
                double dx = Math.signum(x[i] - x[j]);
                double dy = Math.signum(y[i] - y[j]);
                agree += dx * dy;
                orderedX += dx * dx;
                orderedY += dy * dy;
            }
        }
        return agree / Math.sqrt(orderedX * orderedY);
    }

    /**
     * Spearman's rho, as {@link Correlation#spearman}.
     *
     * @return NaN if one side says nothing
     */
    public static double spearman(double[] x, double[] y) {
        return Correlation.spearman(x, y);
    }

    private static void requireSameLength(double[] x, double[] y) {
        if (x.length != y.length) {
            throw new IllegalArgumentException("%d values beside %d".formatted(x.length, y.length));
        }
    }
}
