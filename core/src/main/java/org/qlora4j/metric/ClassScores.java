package org.qlora4j.metric;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Figures of predicted classes, as scikit-learn counts them: what the tasks of GLUE (arXiv
 * 1804.07461) report.
 */
public final class ClassScores {
    public static final String ACCURACY = "accuracy";
    public static final String F1 = "f1";
    public static final String MATTHEWS = "matthews_correlation";

    private ClassScores() {}

    /**
     * Accuracy, F1 and Matthews correlation, by name.
     *
     * @param expected classes from 0
     * @param predicted as many
     * @param classes how many there are; of two F1 is that of class 1, of more the mean of all
     */
    public static Map<String, Double> of(int[] expected, int[] predicted, int classes) {
        long[][] counts = new long[classes][classes]; // by expected, by predicted
        for (int i = 0; i < expected.length; i++) {
            counts[expected[i]][predicted[i]]++;
        }
        Map<String, Double> scores = new LinkedHashMap<>();
        long right = IntStream.range(0, classes).mapToLong(c -> counts[c][c]).sum();
        scores.put(ACCURACY, (double) right / expected.length);
        scores.put(F1, classes == 2 ? f1(counts, 1) : meanF1(counts));
        scores.put(MATTHEWS, matthews(counts, right));
        return scores;
    }

    /** The mean over the classes that are expected or predicted at all. */
    private static double meanF1(long[][] counts) {
        return IntStream.range(0, counts.length)
                .filter(c -> row(counts, c) + column(counts, c) > 0)
                .mapToDouble(c -> f1(counts, c))
                .average()
                .orElse(0);
    }

    /** 0 where the class is neither expected nor predicted. */
    private static double f1(long[][] counts, int c) {
        long both = row(counts, c) + column(counts, c);
        return both == 0 ? 0 : 2.0 * counts[c][c] / both;
    }

    /** Matthews' phi, of more than two classes Gorodkin's R_K; 0 where one side says nothing. */
    private static double matthews(long[][] counts, long right) {
        double all = 0;
        double products = 0;
        double squaresExpected = 0;
        double squaresPredicted = 0;
        for (int c = 0; c < counts.length; c++) {
            double expected = row(counts, c);
            double predicted = column(counts, c);
            all += expected;
            products += expected * predicted;
            squaresExpected += expected * expected;
            squaresPredicted += predicted * predicted;
        }
        double spread = Math.sqrt((all * all - squaresExpected) * (all * all - squaresPredicted));
        return spread == 0 ? 0 : (right * all - products) / spread;
    }

    private static long row(long[][] counts, int c) {
        return IntStream.range(0, counts.length).mapToLong(i -> counts[c][i]).sum();
    }

    private static long column(long[][] counts, int c) {
        return IntStream.range(0, counts.length).mapToLong(i -> counts[i][c]).sum();
    }
}
