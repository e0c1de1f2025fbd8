package org.qlora4j.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * How far raters agree on the same comparisons (the paper's section 5.3).
 *
 * @param comparisons questions and pairs of systems that all raters judged
 * @param fleissKappa agreement beyond chance, over win, loss and tie; NaN without comparisons
 * @param pairwise share of two raters' verdicts that are equal, averaged over raters
 * @param kendall tau-b between the raters' rankings of systems, averaged over pairs of raters
 * @param spearman rho between them, averaged likewise
 */
public record Agreement(
        int comparisons, double fleissKappa, double pairwise, double kendall, double spearman) {
    private static final int VERDICTS = Verdict.values().length;

    /**
     * Compares raters.
     *
     * @param raters at least two, each with the judgments of that rater; both orders of showing two
     *     answers are one comparison, decided by their points
     */
    public static Agreement of(List<List<Judgment>> raters) {
        if (raters.size() < 2) {
            throw new IllegalArgumentException("agreement needs two raters or more");
        }
        List<Map<String, Verdict>> verdicts = raters.stream().map(Agreement::byComparison).toList();
        List<String> shared =
                verdicts.getFirst().keySet().stream()
                        .filter(k -> verdicts.stream().allMatch(v -> v.containsKey(k)))
                        .toList();
        int[][] table = new int[shared.size()][VERDICTS];
        for (int i = 0; i < table.length; i++) {
            for (Map<String, Verdict> of : verdicts) {
                table[i][of.getOrDefault(shared.get(i), Verdict.TIE).ordinal()]++;
            }
        }
        double[] rankings = rankings(raters);
        return new Agreement(
                shared.size(), fleissKappa(table), pairwise(table), rankings[0], rankings[1]);
    }

    /** The verdict on each question and pair, turned to the pair's alphabetical order. */
    private static Map<String, Verdict> byComparison(List<Judgment> judgments) {
        Map<String, List<Double>> points = new LinkedHashMap<>();
        for (Judgment j : judgments) {
            points.computeIfAbsent(j.question() + "\n" + j.pair(), k -> new ArrayList<>())
                    .add(j.scoreOfPair());
        }
        Map<String, Verdict> out = new LinkedHashMap<>();
        points.forEach((key, all) ->
                out.put(
                        key,
                        Verdict.of(
                                all.stream().mapToDouble(p -> p).sum(),
                                all.stream().mapToDouble(p -> 1 - p).sum())));
        return out;
    }

    /**
     * Fleiss' kappa (1971) of a table of how many raters chose each category.
     *
     * @param table [subjects][categories], each row with the same sum of at least 2
     */
    static double fleissKappa(int[][] table) {
        double observed = pairwise(table);
        double chance = 0;
        double all = 0;
        for (int[] row : table) {
            all += sum(row);
        }
        for (int c = 0; table.length > 0 && c < table[0].length; c++) {
            double chosen = 0;
            for (int[] row : table) {
                chosen += row[c];
            }
            chance += chosen / all * chosen / all;
        }
        return (observed - chance) / (1 - chance);
    }

    /** Share of pairs of raters that chose the same, averaged over subjects. */
    static double pairwise(int[][] table) {
        double shares = 0;
        for (int[] row : table) {
            double raters = sum(row);
            double same = 0;
            for (int chosen : row) {
                same += chosen * (chosen - 1.0);
            }
            shares += same / (raters * (raters - 1));
        }
        return shares / table.length;
    }

    private static int sum(int[] row) {
        int sum = 0;
        for (int v : row) {
            sum += v;
        }
        return sum;
    }

    /** Mean tau and rho of the raters' Bradley-Terry rankings of the systems they share. */
    private static double[] rankings(List<List<Judgment>> raters) {
        List<Map<String, Double>> ratings = new ArrayList<>();
        for (List<Judgment> rater : raters) {
            Map<String, Double> byName = new TreeMap<>();
            BradleyTerry.of(rater, 0, 0).forEach((name, bt) -> byName.put(name, bt.rating()));
            ratings.add(byName);
        }
        List<String> shared =
                ratings.getFirst().keySet().stream()
                        .filter(n -> ratings.stream().allMatch(r -> r.containsKey(n)))
                        .toList();
        double tau = 0;
        double rho = 0;
        int pairs = 0;
        for (int i = 0; i < ratings.size(); i++) {
            for (int j = i + 1; j < ratings.size(); j++) {
                double[] x = values(ratings.get(i), shared);
                double[] y = values(ratings.get(j), shared);
                tau += RankCorrelation.kendall(x, y);
                rho += RankCorrelation.spearman(x, y);
                pairs++;
            }
        }
        return new double[] {tau / pairs, rho / pairs};
    }

    private static double[] values(Map<String, Double> ratings, List<String> names) {
        return names.stream().mapToDouble(n -> ratings.getOrDefault(n, Double.NaN)).toArray();
    }
}
