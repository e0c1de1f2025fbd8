package org.qlora4j.eval;

import java.util.Arrays;

/**
 * Likelihood of wins and ties in Davidson's model and where it is largest, by Newton's method. The
 * unknowns are the logarithms of the systems' strengths and, where there are ties, of {@code nu}.
 */
final class DavidsonLikelihood {
    private static final int MOST_STEPS = 200;
    private static final double CLOSE = 1e-12;

    /**
     * Weight of a pull towards equal strengths. It ends what has no end, a system that never lost,
     * and is too weak to be seen elsewhere.
     */
    private static final double PULL = 1e-9;

    /** Longest step of one unknown, so that Newton's method does not overshoot. */
    private static final double LONGEST = 1;

    private final double[][] counts;
    private final int systems;
    private final boolean ties;
    private final double[] gradient;
    private final double[][] curvature;

    /**
     * The likelihood of counts.
     *
     * @param counts [a][b] wins of a over b, and [a][systems + b] ties with a below b
     */
    DavidsonLikelihood(double[][] counts, int systems) {
        this.counts = counts;
        this.systems = systems;
        this.ties = hasTies(counts, systems);
        int unknowns = systems + (ties ? 1 : 0);
        this.gradient = new double[unknowns];
        this.curvature = new double[unknowns][unknowns];
    }

    private static boolean hasTies(double[][] counts, int systems) {
        for (double[] row : counts) {
            for (int b = systems; b < row.length; b++) {
                if (row[b] > 0) {
                    return true;
                }
            }
        }
        return false;
    }

    /** The unknowns at the maximum. */
    double[] maximum() {
        double[] x = new double[gradient.length];
        for (int step = 0; step < MOST_STEPS; step++) {
            derive(x);
            if (LinearSystem.step(x, curvature, gradient, LONGEST) < CLOSE) {
                break;
            }
        }
        return x;
    }

    /** First derivatives, and the negative of the second ones, at x. */
    private void derive(double[] x) {
        for (int i = 0; i < gradient.length; i++) {
            gradient[i] = -PULL * x[i];
            Arrays.fill(curvature[i], 0);
            curvature[i][i] = PULL;
        }
        for (int a = 0; a < systems; a++) {
            for (int b = a + 1; b < systems; b++) {
                pair(x, a, b);
            }
        }
    }

    /** Adds what the matches of a and b say: a multinomial of win, loss and tie. */
    private void pair(double[] x, int a, int b) {
        double wins = counts[a][b];
        double losses = counts[b][a];
        double tied = counts[a][systems + b];
        double all = wins + losses + tied;
        if (all == 0) {
            return;
        }
        double half = (x[a] - x[b]) / 2;
        double up = Math.exp(half);
        double down = Math.exp(-half);
        double even = ties ? Math.exp(x[systems]) : 0;
        double sum = up + down + even;
        double p = up / sum;
        double q = down / sum;
        double t = even / sum;
        // in d = x[a] - x[b], halved: win +1/2, loss -1/2; in log nu: tie 1
        double slope = ((wins - losses) - all * (p - q)) / 2;
        double bend = all * (p + q - (p - q) * (p - q)) / 4;
        gradient[a] += slope;
        gradient[b] -= slope;
        curvature[a][a] += bend;
        curvature[b][b] += bend;
        curvature[a][b] -= bend;
        curvature[b][a] -= bend;
        if (ties) {
            gradient[systems] += tied - all * t;
            curvature[systems][systems] += all * t * (1 - t);
            double mixed = -all * t * (p - q) / 2;
            curvature[a][systems] += mixed;
            curvature[systems][a] += mixed;
            curvature[b][systems] -= mixed;
            curvature[systems][b] -= mixed;
        }
    }
}
