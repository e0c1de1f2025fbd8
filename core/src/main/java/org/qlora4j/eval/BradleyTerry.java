package org.qlora4j.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Strengths of systems by maximum likelihood, ties included (Bradley and Terry 1952; Davidson 1970:
 * a tie is as likely as {@code nu} times the geometric mean of both wins). Unlike Elo they do not
 * depend on any order.
 *
 * @param rating on Elo's scale, with a mean of 1000 over all systems
 * @param interval middle 95% over questions drawn anew
 * @param rank interval of its place, 1 for the best, over the same draws
 */
public record BradleyTerry(double rating, Interval interval, Interval rank) {
    /** Draws of questions for the intervals. */
    public static final int RESAMPLES = 1000;

    private static final double POINTS_PER_NAT = Elo.SCALE / Math.log(10);

    /**
     * Rates all systems, the best first.
     *
     * @param resamples draws of questions with replacement; each takes all judgments of a question
     */
    public static Map<String, BradleyTerry> of(List<Judgment> judgments, int resamples, long seed) {
        List<String> names =
                judgments.stream()
                        .flatMap(j -> Stream.of(j.first(), j.second()))
                        .distinct()
                        .sorted()
                        .toList();
        List<int[]> cells = questions(judgments, names);
        double[] strengths = fit(counts(cells, names.size()), names.size()).strengths();
        double[][] drawn = new double[resamples][];
        IntStream.range(0, resamples)
                .parallel()
                .forEach(r -> {
                    OrderRandom random = new OrderRandom(seed, r);
                    List<int[]> sample =
                            IntStream.range(0, cells.size())
                                    .mapToObj(i -> cells.get(random.below(cells.size())))
                                    .toList();
                    drawn[r] = fit(counts(sample, names.size()), names.size()).strengths();
                });
        Map<String, BradleyTerry> out = new LinkedHashMap<>();
        IntStream.range(0, names.size())
                .boxed()
                .sorted((a, b) -> Double.compare(strengths[b], strengths[a]))
                .forEach(i ->
                        out.put(
                                names.get(i),
                                new BradleyTerry(strengths[i], values(drawn, i), ranks(drawn, i))));
        return out;
    }

    private static Interval values(double[][] drawn, int system) {
        return drawn.length == 0
                ? new Interval(Double.NaN, Double.NaN)
                : Interval.middle95(Stream.of(drawn).mapToDouble(d -> d[system]).toArray());
    }

    private static Interval ranks(double[][] drawn, int system) {
        return drawn.length == 0
                ? new Interval(Double.NaN, Double.NaN)
                : Interval.middle95(
                        Stream.of(drawn)
                                .mapToDouble(d ->
                                        1
                                                + IntStream.range(0, d.length)
                                                        .filter(o -> d[o] > d[system])
                                                        .count())
                                .toArray());
    }

    /** For each question its judgments: first, second, twice the first's points. */
    private static List<int[]> questions(List<Judgment> judgments, List<String> names) {
        Map<String, List<Integer>> byQuestion = new LinkedHashMap<>();
        for (Judgment j : judgments) {
            byQuestion
                    .computeIfAbsent(j.question(), q -> new ArrayList<>())
                    .addAll(
                            List.of(
                                    names.indexOf(j.first()),
                                    names.indexOf(j.second()),
                                    (int) (2 * j.verdict().score())));
        }
        return byQuestion.values().stream()
                .map(c -> c.stream().mapToInt(Integer::intValue).toArray())
                .toList();
    }

    /** [a][b]: a beat b; [a][systems + b] with a below b: they tied. */
    private static double[][] counts(List<int[]> questions, int systems) {
        double[][] counts = new double[systems][2 * systems];
        for (int[] question : questions) {
            for (int i = 0; i < question.length; i += 3) {
                int a = question[i];
                int b = question[i + 1];
                switch (question[i + 2]) {
                    case 2 -> counts[a][b]++;
                    case 0 -> counts[b][a]++;
                    default -> counts[Math.min(a, b)][systems + Math.max(a, b)]++;
                }
            }
        }
        return counts;
    }

    /**
     * A fitted model.
     *
     * @param strengths on Elo's scale, with a mean of 1000
     * @param nu how likely ties are; 0 if there were none
     */
    record Fit(double[] strengths, double nu) {}

    /** Fits counts of wins and ties. */
    static Fit fit(List<Judgment> judgments, List<String> names) {
        return fit(counts(questions(judgments, names), names.size()), names.size());
    }

    private static Fit fit(double[][] counts, int systems) {
        double[] x = new DavidsonLikelihood(counts, systems).maximum();
        double mean = IntStream.range(0, systems).mapToDouble(i -> x[i]).average().orElse(0);
        double[] strengths = new double[systems];
        for (int i = 0; i < systems; i++) {
            strengths[i] = Elo.START + POINTS_PER_NAT * (x[i] - mean);
        }
        return new Fit(strengths, x.length > systems ? Math.exp(x[systems]) : 0);
    }
}
