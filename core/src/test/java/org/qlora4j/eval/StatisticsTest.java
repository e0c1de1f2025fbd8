package org.qlora4j.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.qlora4j.testing.PackedJson;
import tools.jackson.databind.JsonNode;

/**
 * Statistics equal those of scipy, choix, statsmodels and numpy ({@code make_eval_references.py}
 * names the versions).
 */
class StatisticsTest {
    private static final double POINTS_PER_NAT = 400 / Math.log(10);

    private final JsonNode expected =
            PackedJson.resource(StatisticsTest.class, "statistics.json.gz");

    private static double[] doubles(JsonNode list) {
        return IntStream.range(0, list.size()).mapToDouble(i -> list.get(i).asDouble()).toArray();
    }

    private static List<Judgment> judgments(JsonNode matches) {
        List<Judgment> out = new ArrayList<>();
        for (JsonNode m : matches) {
            double points = m.get(2).asDouble();
            Verdict verdict = Verdict.of(points, 1 - points);
            String question = String.valueOf(out.size() % 40);
            out.add(new Judgment(question, name(m.get(0)), name(m.get(1)), verdict));
        }
        return out;
    }

    private static String name(JsonNode index) {
        return "s" + index.asInt();
    }

    @Test
    void davidson_equalsScipysMaximum() {
        JsonNode of = expected.get("davidson");
        List<String> names = List.of("s0", "s1", "s2", "s3", "s4");
        BradleyTerry.Fit fit = BradleyTerry.fit(judgments(of.get("matches")), names);
        assertStrengths(fit.strengths(), doubles(of.get("strengths")));
        assertThat(fit.nu()).isCloseTo(of.get("nu").asDouble(), within(1e-4));
    }

    @Test
    void bradleyTerryWithoutTies_equalsChoix() {
        JsonNode of = expected.get("bradley_terry");
        List<String> names = List.of("s0", "s1", "s2", "s3", "s4", "s5");
        BradleyTerry.Fit fit = BradleyTerry.fit(judgments(of.get("matches")), names);
        assertStrengths(fit.strengths(), doubles(of.get("strengths")));
        assertThat(fit.nu()).isZero();
    }

    private static void assertStrengths(double[] ratings, double[] nats) {
        for (int i = 0; i < nats.length; i++) {
            assertThat((ratings[i] - 1000) / POINTS_PER_NAT).isCloseTo(nats[i], within(1e-4));
        }
    }

    @Test
    void correlations_equalScipy() {
        for (JsonNode of : expected.get("correlation")) {
            double[] x = doubles(of.get("x"));
            double[] y = doubles(of.get("y"));
            assertThat(RankCorrelation.kendall(x, y))
                    .isCloseTo(of.get("kendall").asDouble(), within(1e-12));
            assertThat(RankCorrelation.spearman(x, y))
                    .isCloseTo(of.get("spearman").asDouble(), within(1e-12));
        }
    }

    @Test
    void fleissKappa_equalsStatsmodels() {
        JsonNode rows = expected.get("fleiss").get("table");
        int[][] table =
                IntStream.range(0, rows.size())
                        .mapToObj(i ->
                                IntStream.range(0, rows.get(i).size())
                                        .map(c -> rows.get(i).get(c).asInt())
                                        .toArray())
                        .toArray(int[][]::new);
        assertThat(Agreement.fleissKappa(table))
                .isCloseTo(expected.get("fleiss").get("kappa").asDouble(), within(1e-12));
    }

    @Test
    void ratesAtEqualLength_equalStatsmodelsRegression() {
        JsonNode of = expected.get("length_control");
        List<Judgment> judgments = new ArrayList<>();
        for (JsonNode m : of.get("matches")) {
            Verdict verdict = Verdict.of(m.get(3).asDouble(), 1 - m.get(3).asDouble());
            judgments.add(
                    new Judgment(m.get(2).asString(), name(m.get(0)), name(m.get(1)), verdict));
        }
        LengthControl control =
                LengthControl.of(
                        judgments,
                        (system, question) ->
                                OptionalInt.of(
                                        of.get("lengths")
                                                .get(Integer.parseInt(system.substring(1)))
                                                .get(Integer.parseInt(question))
                                                .asInt()));
        assertThat(control.judgments()).isEqualTo(judgments.size());
        assertThat(control.length()).isCloseTo(of.get("length").asDouble(), within(1e-6));
        assertThat(control.place()).isCloseTo(of.get("place").asDouble(), within(1e-6));
        double[] rates = doubles(of.get("rates"));
        for (int i = 0; i < rates.length; i++) {
            LengthControl.Rate rate = Objects.requireNonNull(control.systems().get("s" + i));
            assertThat(rate.controlled()).isCloseTo(rates[i], within(1e-7));
        }
    }

    @Test
    void quantiles_equalNumpy() {
        JsonNode of = expected.get("quantiles");
        Interval interval = Interval.middle95(doubles(of.get("values")));
        assertThat(interval.low()).isCloseTo(of.get("low").asDouble(), within(1e-12));
        assertThat(interval.high()).isCloseTo(of.get("high").asDouble(), within(1e-12));
    }

    /** A system that never lost has no finite strength: its rating is large, and nothing is NaN. */
    @Test
    void systemThatNeverLost_isRatedHighest() {
        List<Judgment> all =
                List.of(
                        new Judgment("1", "a", "b", Verdict.FIRST),
                        new Judgment("1", "b", "c", Verdict.FIRST),
                        new Judgment("2", "c", "b", Verdict.FIRST),
                        new Judgment("2", "c", "a", Verdict.SECOND));
        var ratings = BradleyTerry.of(all, 50, 1);
        assertThat(ratings.keySet()).first().isEqualTo("a");
        assertThat(ratings.values()).allSatisfy(r -> assertThat(r.rating()).isFinite());
    }
}
