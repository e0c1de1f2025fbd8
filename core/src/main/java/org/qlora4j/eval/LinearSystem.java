package org.qlora4j.eval;

/** Systems of linear equations with a positive definite matrix. */
final class LinearSystem {
    private LinearSystem() {}

    /**
     * The x of {@code matrix x = right}, by Gaussian elimination; both are left as they are.
     *
     * @param matrix symmetric and positive definite, so that no pivots are needed
     */
    static double[] solve(double[][] matrix, double[] right) {
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
