package org.qlora4j.judge;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.qlora4j.eval.JudgeBias;
import org.qlora4j.eval.Judgment;
import org.qlora4j.eval.Verdict;

/**
 * What came of judging, but for the ratings themselves.
 *
 * @param files of ratings
 * @param judged comparisons with a verdict, those judged again not counted
 * @param unread comparisons of which no reply could be read
 * @param askedAgain replies that could not be read, and were asked for again
 * @param bias what the order of showing does
 * @param twice comparisons judged twice
 * @param same those of them with the same verdict, or the same two scores
 * @param moved how far the win rate of two systems moves from one judging to the other, at most
 */
public record JudgeResult(
        int files,
        int judged,
        int unread,
        int askedAgain,
        JudgeBias bias,
        int twice,
        int same,
        double moved) {
    static JudgeResult of(List<Rating> ratings, int files) {
        List<Judgment> judgments = new ArrayList<>();
        Map<Comparison, Rating> first = new HashMap<>();
        int unread = 0;
        int again = 0;
        int twice = 0;
        int same = 0;
        Map<String, double[]> sums = new HashMap<>(); // by pair: points then, points now, count
        for (Rating rating : ratings) {
            Comparison c = rating.comparison();
            again += rating.attempts() - 1;
            if (!c.again()) {
                first.put(c.repeated(), rating);
                if (rating.read().isEmpty()) {
                    unread++;
                } else {
                    Verdict verdict = Verdict.of(rating.points(), 1 - rating.points());
                    judgments.add(new Judgment(c.question().key(), c.first(), c.second(), verdict));
                }
                continue;
            }
            Rating then = first.get(c);
            if (then == null || then.read().isEmpty() || rating.read().isEmpty()) {
                continue;
            }
            twice++;
            same += rating.agrees(then) ? 1 : 0;
            boolean ordered = c.first().compareTo(c.second()) < 0;
            String pair = ordered ? c.first() + "\n" + c.second() : c.second() + "\n" + c.first();
            double[] sum = sums.computeIfAbsent(pair, p -> new double[3]);
            sum[0] += ordered ? then.points() : 1 - then.points();
            sum[1] += ordered ? rating.points() : 1 - rating.points();
            sum[2]++;
        }
        double moved =
                sums.values().stream()
                        .mapToDouble(s -> Math.abs(s[0] - s[1]) / s[2])
                        .max()
                        .orElse(0);
        return new JudgeResult(
                files,
                judgments.size(),
                unread,
                again,
                JudgeBias.of(judgments),
                twice,
                same,
                moved);
    }

    /**
     * What a reader of the ratings must know, a line each.
     *
     * @param labels whether verdicts were likeliest labels
     */
    public List<String> lines(boolean labels) {
        List<String> out = new ArrayList<>();
        out.add(
                "%d judgments in %d files; %d replies could not be read and were asked for again, %d comparisons stay without a verdict"
                        .formatted(judged, files, askedAgain, unread));
        out.add(
                judged == 0
                        ? "position: no verdict to see it in; with a model of this machine take --verdict labels"
                        : String.format(
                                Locale.ROOT,
                                "position: the answer shown first wins %.1f%%, the second %.1f%%; both orders have one verdict in %.1f%% of %d pairs",
                                100 * bias.firstWins(),
                                100 * bias.secondWins(),
                                100 * bias.consistent(),
                                bias.bothOrders()));
        out.add(
                labels
                        ? "noise floor: none; log-probabilities draw nothing, so the judge agrees with itself by construction"
                        : twice == 0
                                ? "noise floor: not measured, no comparison has two verdicts; --again judges a share of them twice"
                                : String.format(
                                        Locale.ROOT,
                                        "noise floor: of %d comparisons judged twice %.1f%% have the same verdict; the win rate of two systems moves by up to %.1f points",
                                        twice,
                                        100.0 * same / twice,
                                        100 * moved));
        return out;
    }
}
