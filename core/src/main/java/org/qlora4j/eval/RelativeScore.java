package org.qlora4j.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A system's scores as a share of the reference system's, in percent (the paper's Table 6).
 *
 * @param referenceFirst ratio of sums where the reference's answer was shown first; NaN if never
 * @param systemFirst ratio of sums where the system's was; NaN if never
 * @param mean ratio of sums of both sides' averages over the orders of each question
 * @param halfWidth half of the 95% interval of the mean
 * @param questions questions with at least one valid pair of scores
 */
public record RelativeScore(
        double referenceFirst, double systemFirst, double mean, double halfWidth, int questions) {
    /** By system, the best mean first. */
    public static Map<String, RelativeScore> bySystem(List<ScorePair> scores) {
        Map<String, List<ScorePair>> bySystem = new TreeMap<>();
        for (ScorePair pair : scores) {
            bySystem.computeIfAbsent(pair.system(), s -> new ArrayList<>()).add(pair);
        }
        Map<String, RelativeScore> out = new LinkedHashMap<>();
        bySystem.entrySet().stream()
                .map(e -> Map.entry(e.getKey(), of(e.getValue())))
                .sorted((a, b) -> Double.compare(b.getValue().mean, a.getValue().mean))
                .forEach(e -> out.put(e.getKey(), e.getValue()));
        return out;
    }

    /** The score of one system from its pairs. */
    static RelativeScore of(List<ScorePair> pairs) {
        Map<String, double[]> sums = new LinkedHashMap<>(); // system, reference, orders
        for (ScorePair pair : pairs) {
            double[] sum = sums.computeIfAbsent(pair.question(), q -> new double[3]);
            sum[0] += pair.score();
            sum[1] += pair.reference();
            sum[2]++;
        }
        double[] system = sums.values().stream().mapToDouble(s -> s[0] / s[2]).toArray();
        double[] reference = sums.values().stream().mapToDouble(s -> s[1] / s[2]).toArray();
        double ratio = mean(system) / mean(reference);
        double low = (mean(system) - halfWidth(system)) / (mean(reference) + halfWidth(reference));
        return new RelativeScore(
                100 * ratio(pairs, false),
                100 * ratio(pairs, true),
                100 * ratio,
                100 * (ratio - low),
                sums.size());
    }

    private static double ratio(List<ScorePair> pairs, boolean systemFirst) {
        double system = 0;
        double reference = 0;
        for (ScorePair pair : pairs) {
            if (pair.systemFirst() == systemFirst) {
                system += pair.score();
                reference += pair.reference();
            }
        }
        return system / reference;
    }

    private static double mean(double[] values) {
        double sum = 0;
        for (double v : values) {
            sum += v;
        }
        return sum / values.length;
    }

    /** Half of the 95% interval of a mean, with the population's deviation as in the paper. */
    private static double halfWidth(double[] values) {
        double mean = mean(values);
        double squares = 0;
        for (double v : values) {
            squares += (v - mean) * (v - mean);
        }
        return Interval.Z95 * Math.sqrt(squares / values.length) / Math.sqrt(values.length);
    }
}
