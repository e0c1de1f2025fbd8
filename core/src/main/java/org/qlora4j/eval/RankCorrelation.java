package org.qlora4j.eval;

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
     * Spearman's rho, the correlation of ranks; equal values share the mean of their ranks.
     *
     * @return NaN if one side says nothing
     */
    public static double spearman(double[] x, double[] y) {
        requireSameLength(x, y);
        return pearson(ranks(x), ranks(y));
    }

    private static double pearson(double[] x, double[] y) {
        double meanX = mean(x);
        double meanY = mean(y);
        double xy = 0;
        double xx = 0;
        double yy = 0;
        for (int i = 0; i < x.length; i++) {
            xy += (x[i] - meanX) * (y[i] - meanY);
            xx += (x[i] - meanX) * (x[i] - meanX);
            yy += (y[i] - meanY) * (y[i] - meanY);
        }
        return xy / Math.sqrt(xx * yy);
    }

    private static double mean(double[] values) {
        double sum = 0;
        for (double v : values) {
            sum += v;
        }
        return sum / values.length;
    }

    private static double[] ranks(double[] values) {
        double[] ranks = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            double below = 0;
            double equal = 0;
            for (double other : values) {
                below += other < values[i] ? 1 : 0;
                equal += other == values[i] ? 1 : 0;
            }
            ranks[i] = below + (equal + 1) / 2;
        }
        return ranks;
    }

    private static void requireSameLength(double[] x, double[] y) {
        if (x.length != y.length) {
            throw new IllegalArgumentException("%d values beside %d".formatted(x.length, y.length));
        }
    }
}
