package org.qlora4j.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What the order of showing does to a judge's verdicts.
 *
 * @param firstWins share of verdicts for the answer shown first
 * @param secondWins share for the one shown second; the rest are ties
 * @param bothOrders questions and pairs of systems judged in both orders
 * @param consistent share of them with the same verdict in both; NaN without any
 * @param systems by system, its points when shown first and when shown second
 */
public record JudgeBias(
        double firstWins,
        double secondWins,
        int bothOrders,
        double consistent,
        Map<String, ByPlace> systems) {
    /**
     * Mean points of a system, 1 a win and a half a tie.
     *
     * @param first when its answer was shown first; NaN if never
     * @param second when it was shown second; NaN if never
     */
    public record ByPlace(double first, double second) {}

    /** The bias in one judge's verdicts. */
    public static JudgeBias of(List<Judgment> judgments) {
        double all = judgments.size();
        double first = judgments.stream().filter(j -> j.verdict() == Verdict.FIRST).count();
        double second = judgments.stream().filter(j -> j.verdict() == Verdict.SECOND).count();
        Map<String, List<Judgment>> byPair = new LinkedHashMap<>();
        for (Judgment j : judgments) {
            byPair.computeIfAbsent(j.question() + "\n" + j.pair(), k -> new ArrayList<>()).add(j);
        }
        int both = 0;
        double same = 0;
        for (List<Judgment> group : byPair.values()) {
            Judgment one = group.getFirst();
            for (Judgment other : group.subList(1, group.size())) {
                if (!other.first().equals(one.first())) {
                    both++;
                    same += other.verdict() == one.verdict().turned() ? 1 : 0;
                }
            }
        }
        return new JudgeBias(first / all, second / all, both, same / both, byPlace(judgments));
    }

    private static Map<String, ByPlace> byPlace(List<Judgment> judgments) {
        Map<String, double[]> sums = new TreeMap<>(); // points and matches, first then second
        for (Judgment j : judgments) {
            double[] one = sums.computeIfAbsent(j.first(), s -> new double[4]);
            one[0] += j.verdict().score();
            one[1]++;
            double[] two = sums.computeIfAbsent(j.second(), s -> new double[4]);
            two[2] += 1 - j.verdict().score();
            two[3]++;
        }
        Map<String, ByPlace> out = new TreeMap<>();
        sums.forEach((name, s) -> out.put(name, new ByPlace(s[0] / s[1], s[2] / s[3])));
        return out;
    }
}
