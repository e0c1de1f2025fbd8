package org.qlora4j.eval;

/** Systems of linear equations with a positive definite matrix. */
final class LinearSystem {
    private LinearSystem() {}

    /**
     * Moves x by a Newton step, no coordinate by more than {@code longest}.
     *
     * @param curvature the negative of second derivatives, positive definite
     * @return how far the coordinate that goes farthest wanted to go
     */
    static double step(double[] x, double[][] curvature, double[] gradient, double longest) {
        double[] change = solve(curvature, gradient);
        double largest = 0;
        for (double c : change) {
            largest = Math.max(largest, Math.abs(c));
        }
        double scale = largest > longest ? longest / largest : 1;
        for (int i = 0; i < x.length; i++) {
            x[i] += scale * change[i];
        }
        return largest;
    }

    /**
     * The x of {@code matrix x = right}, by Gaussian elimination; both are left as they are.
     *
     * @param matrix symmetric and positive definite, so that no pivots are needed
     */
    private static double[] solve(double[][] matrix, double[] right) {
        int n = right.length;
        double[][] m = new double[n][];
        double[] r = right.clone();
        for (int i = 0; i < n; i++) {
            m[i] = matrix[i].clone();
        }
        for (int i = 0; i < n; i++) {
            for (int row = i + 1; row < n; row++) {
                double share = m[row][i] / m[i][i];
                for (int col = i; col < n; col++) {
                    m[row][col] -= share * m[i][col];
                }
                r[row] -= share * r[i];
            }
        }
        for (int i = n - 1; i >= 0; i--) {
            for (int col = i + 1; col < n; col++) {
                r[i] -= m[i][col] * r[col];
            }
            r[i] /= m[i][i];
        }
        return r;
    }
}
