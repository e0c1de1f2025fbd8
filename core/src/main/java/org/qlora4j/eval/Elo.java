package org.qlora4j.eval;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.qlora4j.error.ConfigException;

/**
 * Elo ratings of systems, by the procedures of the paper (section 5.2; the constants are its own).
 *
 * @param rating mean over orders
 * @param halfWidth half of the 95% interval of that mean; 0 after a single pass
 * @param deviation standard deviation between orders: what one order says is worth
 * @param matches judgments of this system
 */
public record Elo(double rating, double halfWidth, double deviation, int matches) {
    /** Where every system starts. */
    public static final double START = 1000;

    /** Points that a surprising win is worth. */
    public static final double K = 32;

    /** Points of distance at which the better one is ten times as likely to win. */
    public static final double SCALE = 400;

    /** Random orders, as in the paper. */
    public static final int ORDERS = 10_000;

    private static final int SYSTEM_BITS = 14;
    private static final int SYSTEM_MASK = (1 << SYSTEM_BITS) - 1;
    private static final double[] POINTS = {0, 0.5, 1};

    /**
     * Rates all systems, the best first.
     *
     * @param orders random orders to average over; a single pass has one
     * @param seed of the orders; the same seed gives the same bits
     */
    public static Map<String, Elo> of(
            List<Judgment> judgments, EloProcedure procedure, int orders, long seed) {
        if (orders < 1) {
            throw ConfigException.of("--orders must be at least 1, got %d", orders);
        }
        List<String> names = names(judgments);
        int[] matches = encoded(judgments, names);
        double[][] ratings =
                switch (procedure) {
                    case SINGLE_PASS -> new double[][] {pass(matches, names.size())};
                    case FINAL -> finalRatings(matches, names.size(), orders, seed);
                    case HISTORY -> histories(judgments, matches, names.size(), orders, seed);
                };
        Map<String, Elo> out = new LinkedHashMap<>();
        IntStream.range(0, names.size())
                .mapToObj(
                        i -> Map.entry(names.get(i), summary(ratings, i, judgments, names.get(i))))
                .sorted((a, b) -> Double.compare(b.getValue().rating, a.getValue().rating))
                .forEach(e -> out.put(e.getKey(), e.getValue()));
        return out;
    }

    private static List<String> names(List<Judgment> judgments) {
        List<String> names =
                judgments.stream()
                        .flatMap(j -> Stream.of(j.first(), j.second()))
                        .distinct()
                        .sorted()
                        .toList();
        if (names.size() > SYSTEM_MASK) {
            throw ConfigException.of("%d systems are too many to rate at once", names.size());
        }
        return names;
    }

    /** Judgments as numbers that are quick to shuffle: two systems and twice the first's points. */
    private static int[] encoded(List<Judgment> judgments, List<String> names) {
        Map<String, Integer> index = new HashMap<>();
        names.forEach(n -> index.put(n, index.size()));
        return judgments.stream()
                .mapToInt(j -> {
                    int a = index.getOrDefault(j.first(), 0);
                    int b = index.getOrDefault(j.second(), 0);
                    int twice = (int) (2 * j.verdict().score());
                    return a | b << SYSTEM_BITS | twice << 2 * SYSTEM_BITS;
                })
                .toArray();
    }

    /** The ratings after one pass over all matches. */
    private static double[] pass(int[] matches, int systems) {
        double[] ratings = new double[systems];
        Arrays.fill(ratings, START);
        for (int match : matches) {
            play(match, ratings);
        }
        return ratings;
    }

    /** Both players change at once, by what the result differs from what was expected. */
    private static void play(int match, double[] ratings) {
        int a = match & SYSTEM_MASK;
        int b = match >>> SYSTEM_BITS & SYSTEM_MASK;
        double expected = 1 / (1 + Math.exp((ratings[b] - ratings[a]) * (Math.log(10) / SCALE)));
        double change = K * (POINTS[match >>> 2 * SYSTEM_BITS] - expected);
        ratings[a] += change;
        ratings[b] -= change;
    }

    /** The last ratings of each order; two orders go side by side, for each waits for itself. */
    private static double[][] finalRatings(int[] matches, int systems, int orders, long seed) {
        double[][] out = new double[orders][];
        IntStream.range(0, (orders + 1) / 2)
                .parallel()
                .forEach(two -> {
                    int other = Math.min(2 * two + 1, orders - 1);
                    int[] left = shuffled(matches.clone(), new OrderRandom(seed, 2L * two));
                    int[] right = shuffled(matches.clone(), new OrderRandom(seed, other));
                    double[] one = new double[systems];
                    double[] next = new double[systems];
                    Arrays.fill(one, START);
                    Arrays.fill(next, START);
                    for (int i = 0; i < left.length; i++) {
                        play(left[i], one);
                        play(right[i], next);
                    }
                    out[2 * two] = one;
                    out[other] = 2 * two == other ? one : next;
                });
        return out;
    }

    private static double[][] histories(
            List<Judgment> judgments, int[] matches, int systems, int orders, long seed) {
        int[][] choices = choices(judgments, matches);
        double[][] out = new double[orders][];
        IntStream.range(0, orders)
                .parallel()
                .forEach(o -> out[o] = history(choices, systems, new OrderRandom(seed, o)));
        return out;
    }

    /** The judgments of each pair and question, of which an order takes one. */
    private static int[][] choices(List<Judgment> judgments, int[] matches) {
        Map<List<Object>, List<Integer>> groups = new LinkedHashMap<>();
        for (int i = 0; i < matches.length; i++) {
            Judgment j = judgments.get(i);
            groups.computeIfAbsent(List.of(j.pair(), j.question()), k -> new ArrayList<>())
                    .add(matches[i]);
        }
        return groups.values().stream()
                .map(g -> g.stream().mapToInt(Integer::intValue).toArray())
                .toArray(int[][]::new);
    }

    private static double[] history(int[][] choices, int systems, OrderRandom random) {
        int[] order = new int[choices.length];
        for (int i = 0; i < order.length; i++) {
            order[i] = choices[i][random.below(choices[i].length)];
        }
        shuffled(order, random);
        double[] ratings = new double[systems];
        double[] sums = new double[systems];
        int[] counts = new int[systems];
        Arrays.fill(ratings, START);
        for (int match : order) {
            play(match, ratings);
            int a = match & SYSTEM_MASK;
            int b = match >>> SYSTEM_BITS & SYSTEM_MASK;
            sums[a] += ratings[a];
            sums[b] += ratings[b];
            counts[a]++;
            counts[b]++;
        }
        for (int i = 0; i < systems; i++) {
            sums[i] = counts[i] == 0 ? START : sums[i] / counts[i];
        }
        return sums;
    }

    /** Shuffles in place (Fisher and Yates). */
    private static int[] shuffled(int[] values, OrderRandom random) {
        for (int i = values.length - 1; i > 0; i--) {
            int j = random.below(i + 1);
            int held = values[i];
            values[i] = values[j];
            values[j] = held;
        }
        return values;
    }

    private static Elo summary(
            double[][] ratings, int system, List<Judgment> judgments, String name) {
        double sum = 0;
        double squares = 0;
        for (double[] order : ratings) {
            sum += order[system];
        }
        double mean = sum / ratings.length;
        for (double[] order : ratings) {
            squares += (order[system] - mean) * (order[system] - mean);
        }
        double deviation = Math.sqrt(squares / ratings.length);
        int matches =
                (int)
                        judgments.stream()
                                .filter(j -> j.first().equals(name) || j.second().equals(name))
                                .count();
        return new Elo(
                mean, Interval.Z95 * deviation / Math.sqrt(ratings.length), deviation, matches);
    }
}
