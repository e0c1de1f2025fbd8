package org.qlora4j.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.function.BiFunction;
import java.util.stream.Stream;

/**
 * Win rates as if all answers were equally long and neither stood first (the idea of arXiv
 * 2404.04475). A logistic regression of the points on both systems' strengths, on the difference of
 * lengths and on the place; then the length and the place are left out.
 *
 * @param length log odds for an answer that is far longer: its weight times the hyperbolic tangent
 *     of the difference in characters, in standard deviations
 * @param place log odds for the answer shown first
 * @param systems by name, the best controlled rate first
 * @param judgments how many had both lengths
 */
public record LengthControl(double length, double place, Map<String, Rate> systems, int judgments) {
    /**
     * A system's win rates against the others, each of which counts the same.
     *
     * @param raw points for each judgment against each of the others, averaged over them
     * @param controlled the same at equal length and place
     * @param characters mean length of its answers
     */
    public record Rate(double raw, double controlled, double characters) {}

    /** A judgment whose answers' lengths are known. */
    private record Measured(int first, int second, int one, int two, double points) {}

    /**
     * Fits judgments.
     *
     * @param lengthOf characters of a system's answer to a question; empty where it is not known
     */
    public static LengthControl of(
            List<Judgment> judgments, BiFunction<String, String, OptionalInt> lengthOf) {
        List<Judgment> known = new ArrayList<>();
        for (Judgment j : judgments) {
            if (lengthOf.apply(j.first(), j.question()).isPresent()
                    && lengthOf.apply(j.second(), j.question()).isPresent()) {
                known.add(j);
            }
        }
        List<String> names =
                known.stream()
                        .flatMap(j -> Stream.of(j.first(), j.second()))
                        .distinct()
                        .sorted()
                        .toList();
        List<Measured> measured =
                known.stream()
                        .map(j ->
                                new Measured(
                                        names.indexOf(j.first()),
                                        names.indexOf(j.second()),
                                        lengthOf.apply(j.first(), j.question()).orElse(0),
                                        lengthOf.apply(j.second(), j.question()).orElse(0),
                                        j.verdict().score()))
                        .toList();
        return measured.isEmpty()
                ? new LengthControl(Double.NaN, Double.NaN, Map.of(), 0)
                : fit(measured, names);
    }

    private static LengthControl fit(List<Measured> measured, List<String> names) {
        int systems = names.size();
        double spread = spread(measured);
        double[][] x = new double[measured.size()][systems + 2];
        double[] points = new double[measured.size()];
        for (int i = 0; i < x.length; i++) {
            Measured m = measured.get(i);
            x[i][m.first()] = 1;
            x[i][m.second()] = -1;
            x[i][systems] = spread == 0 ? 0 : Math.tanh((m.one() - m.two()) / spread);
            x[i][systems + 1] = 1;
            points[i] = m.points();
        }
        double[] weights = LogisticRegression.fit(x, points);
        Map<String, Rate> rates = new LinkedHashMap<>();
        names.stream()
                .map(name -> Map.entry(name, rate(names.indexOf(name), measured, weights, systems)))
                .sorted((a, b) ->
                        Double.compare(b.getValue().controlled(), a.getValue().controlled()))
                .forEach(e -> rates.put(e.getKey(), e.getValue()));
        return new LengthControl(weights[systems], weights[systems + 1], rates, measured.size());
    }

    /** Standard deviation of the differences in length. */
    private static double spread(List<Measured> measured) {
        double mean = measured.stream().mapToDouble(m -> m.one() - m.two()).average().orElse(0);
        double squares =
                measured.stream()
                        .mapToDouble(m -> (m.one() - m.two() - mean) * (m.one() - m.two() - mean))
                        .sum();
        return Math.sqrt(squares / measured.size());
    }

    private static Rate rate(int system, List<Measured> measured, double[] weights, int systems) {
        double[] points = new double[systems]; // by opponent
        double[] matches = new double[systems];
        double characters = 0;
        for (Measured m : measured) {
            if (m.first() == system || m.second() == system) {
                boolean first = m.first() == system;
                int other = first ? m.second() : m.first();
                points[other] += first ? m.points() : 1 - m.points();
                matches[other]++;
                characters += first ? m.one() : m.two();
            }
        }
        double raw = 0;
        double controlled = 0;
        double all = 0;
        int opponents = 0;
        for (int other = 0; other < systems; other++) {
            if (matches[other] > 0) {
                raw += points[other] / matches[other];
                controlled += LogisticRegression.share(weights[system] - weights[other]);
                all += matches[other];
                opponents++;
            }
        }
        return new Rate(raw / opponents, controlled / opponents, characters / all);
    }
}
