package org.qlora4j.eval;

/** Maximum likelihood of shares in [0, 1] by Newton's method. */
final class LogisticRegression {
    private static final int MOST_STEPS = 100;
    private static final double CLOSE = 1e-10;

    /** Ends what has no end, and what only differences decide; too weak to be seen elsewhere. */
    private static final double PULL = 1e-7;

    /** Longest step of one weight. */
    private static final double LONGEST = 2;

    private LogisticRegression() {}

    /** The share that log odds amount to. */
    static double share(double logOdds) {
        return 1 / (1 + Math.exp(-logOdds));
    }

    /**
     * Fits weights.
     *
     * @param x [observations][weights]
     * @param shares of each observation, in [0, 1]
     */
    static double[] fit(double[][] x, double[] shares) {
        int unknowns = x[0].length;
        double[] weights = new double[unknowns];
        for (int step = 0; step < MOST_STEPS; step++) {
            double[][] curvature = new double[unknowns][unknowns];
            double[] gradient = new double[unknowns];
            for (int k = 0; k < unknowns; k++) {
                gradient[k] = -PULL * weights[k];
                curvature[k][k] = PULL;
            }
            for (int i = 0; i < x.length; i++) {
                add(x[i], shares[i], weights, gradient, curvature);
            }
            if (LinearSystem.step(weights, curvature, gradient, LONGEST) < CLOSE) {
                break;
            }
        }
        return weights;
    }

    private static void add(
            double[] row, double share, double[] weights, double[] gradient, double[][] curvature) {
        double odds = 0;
        for (int k = 0; k < row.length; k++) {
            odds += row[k] * weights[k];
        }
        double p = share(odds);
        for (int k = 0; k < row.length; k++) {
            if (row[k] == 0) {
                continue;
            }
            gradient[k] += (share - p) * row[k];
            for (int l = 0; l < row.length; l++) {
                curvature[k][l] += p * (1 - p) * row[k] * row[l];
            }
        }
    }
}
