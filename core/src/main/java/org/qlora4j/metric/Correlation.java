package org.qlora4j.metric;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/** How alike two rows of numbers run: 1 alike, 0 unrelated, -1 opposed. */
public final class Correlation {
    public static final String PEARSON = "pearson";
    public static final String SPEARMAN = "spearmanr";

    private Correlation() {}

    /** Both correlations by name, as GLUE's STS-B reports them. */
    public static Map<String, Double> of(double[] expected, double[] predicted) {
        Map<String, Double> scores = new LinkedHashMap<>();
        scores.put(PEARSON, pearson(expected, predicted));
        scores.put(SPEARMAN, spearman(expected, predicted));
        return scores;
    }

    /**
     * Pearson's r, of the numbers themselves.
     *
     * @return NaN if one side says nothing: all values equal, or fewer than two
     */
    public static double pearson(double[] x, double[] y) {
        requireSameLength(x, y);
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

    /**
     * Spearman's rho, the correlation of ranks; equal values share the mean of their ranks.
     *
     * @return NaN if one side says nothing
     */
    public static double spearman(double[] x, double[] y) {
        requireSameLength(x, y);
        return pearson(ranks(x), ranks(y));
    }

    private static double mean(double[] values) {
        double sum = 0;
        for (double v : values) {
            sum += v;
        }
        return sum / values.length;
    }

    private static double[] ranks(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        double[] ranks = new double[values.length];
        for (int i = 0; i < values.length; i++) {
            int first = place(sorted, values[i], true);
            int last = place(sorted, values[i], false);
            ranks[i] = (first + last) / 2.0 + 1;
        }
        return ranks;
    }

    /** The first or the last place of a value among sorted ones. */
    private static int place(double[] sorted, double value, boolean first) {
        int low = 0;
        int high = sorted.length;
        while (low < high) {
            int middle = (low + high) >>> 1;
            boolean before = first ? sorted[middle] < value : sorted[middle] <= value;
            low = before ? middle + 1 : low;
            high = before ? high : middle;
        }
        return first ? low : low - 1;
    }

    private static void requireSameLength(double[] x, double[] y) {
        if (x.length != y.length) {
            throw new IllegalArgumentException("%d values beside %d".formatted(x.length, y.length));
        }
    }
}
