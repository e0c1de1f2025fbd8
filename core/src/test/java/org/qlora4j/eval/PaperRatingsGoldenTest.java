package org.qlora4j.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The paper's numbers follow from the ratings that it released: its Table 6, and Elo ratings of
 * four systems as an independent program computed them from the same files.
 */
class PaperRatingsGoldenTest {
    private static Path folder(String name) {
        Path folder =
                Path.of(System.getProperty("qlora.shared", "../../shared"), "data/eval/ratings")
                        .resolve(name);
        assumeTrue(Files.isDirectory(folder), "no ratings at " + folder);
        return folder;
    }

    private static Ratings pairwise() {
        return Ratings.read(List.of(folder("vicuna/pairwise")), null);
    }

    @ParameterizedTest
    @CsvSource({
        "13b-guanaco, 87.3, 93.4, 90.4, 5.2",
        "7b-guanaco, 84.1, 89.8, 87.0, 5.4",
        "vicuna-13b, 91.2, 98.7, 94.9, 4.5",
        "65b-flan, 37.0, 59.6, 48.4, 4.6"
    })
    void relativeScores_areThoseOfTable6(
            String system, String referenceFirst, String systemFirst, String mean, String ci) {
        Ratings ratings = Ratings.read(List.of(folder("vicuna/relative-gpt-3.5")), null);
        assertThat(ratings.reference()).isEqualTo("gpt-3.5");
        assertThat(ratings.orderByName()).isEmpty();
        Map<String, RelativeScore> scores = RelativeScore.bySystem(ratings.scores());
        assertThat(scores).containsKey(system);
        RelativeScore score = Objects.requireNonNull(scores.get(system));
        assertRounded(score.referenceFirst(), referenceFirst);
        assertRounded(score.systemFirst(), systemFirst);
        assertRounded(score.mean(), mean);
        assertRounded(score.halfWidth(), ci);
    }

    private static void assertRounded(double value, String expected) {
        assertThat(BigDecimal.valueOf(value).setScale(1, RoundingMode.HALF_UP))
                .hasToString(expected);
    }

    /** Where the files of one system stand alone, their names tell the order, and that is said. */
    @Test
    void oneSystemAlone_isReadByItsNames() {
        Path folder = folder("vicuna/relative-gpt-3.5");
        Ratings ratings =
                Ratings.read(
                        List.of(
                                folder.resolve(
                                        "7b-guanaco-vicuna-generations-topp0.9-temp0.7-vs-gpt-3.5-gpt4-reviewer.jsonl"),
                                folder.resolve(
                                        "gpt-3.5-vs-7b-guanaco-vicuna-generations-topp0.9-temp0.7-gpt4-reviewer.jsonl")),
                        "gpt-3.5");
        assertThat(ratings.orderByName()).hasSize(2);
        RelativeScore score =
                Objects.requireNonNull(RelativeScore.bySystem(ratings.scores()).get("7b-guanaco"));
        assertRounded(score.referenceFirst(), "84.1");
        assertRounded(score.systemFirst(), "89.8");
    }

    @Test
    void onePassInFileOrder_isExact() {
        Ratings ratings = pairwise();
        assertThat(ratings.judgments()).hasSize(958);
        assertThat(ratings.dropped()).isEqualTo(2);
        Map<String, Elo> elo = Elo.of(ratings.judgments(), EloProcedure.SINGLE_PASS, 1, 0);
        assertElo(elo, 1e-6, 1135.682998, 1156.637052, 861.763012, 845.916938);
    }

    @Test
    void finalRatingsOverOrders_areTheReferences() {
        Map<String, Elo> elo = Elo.of(pairwise().judgments(), EloProcedure.FINAL, 10_000, 1);
        assertElo(elo, 2.0, 1040.34, 1021.56, 991.92, 946.18);
        assertThat(elo.values()).allSatisfy(e -> assertThat(e.halfWidth()).isBetween(0.6, 1.1));
    }

    @Test
    void historiesOverOrders_areTheReferences() {
        Map<String, Elo> elo = Elo.of(pairwise().judgments(), EloProcedure.HISTORY, 10_000, 1);
        assertElo(elo, 0.6, 1037.17, 1020.75, 992.04, 950.01);
        assertThat(elo.values()).allSatisfy(e -> assertThat(e.halfWidth()).isBetween(0.1, 0.4));
    }

    @Test
    void sameSeed_givesTheSameBits() {
        List<Judgment> judgments = pairwise().judgments();
        for (EloProcedure procedure : EloProcedure.values()) {
            assertThat(Elo.of(judgments, procedure, 101, 5))
                    .isEqualTo(Elo.of(judgments, procedure, 101, 5));
        }
        assertThat(Elo.of(judgments, EloProcedure.FINAL, 101, 5))
                .isNotEqualTo(Elo.of(judgments, EloProcedure.FINAL, 101, 6));
    }

    private static void assertElo(
            Map<String, Elo> elo,
            double tolerance,
            double vicuna,
            double gpt35,
            double guanaco13b,
            double guanaco7b) {
        assertThat(elo).hasSize(4);
        assertRating(elo, "vicuna-13b", vicuna, tolerance);
        assertRating(elo, "gpt35", gpt35, tolerance);
        assertRating(elo, "13b-guanaco", guanaco13b, tolerance);
        assertRating(elo, "7b-guanaco", guanaco7b, tolerance);
    }

    private static void assertRating(
            Map<String, Elo> elo, String system, double expected, double tolerance) {
        assertThat(elo).containsKey(system);
        assertThat(Objects.requireNonNull(elo.get(system)).rating())
                .as(system)
                .isCloseTo(expected, within(tolerance));
    }

    @Test
    void judgeBias_countsBothOrders() {
        JudgeBias bias = JudgeBias.of(pairwise().judgments());
        assertThat(bias.bothOrders()).isBetween(478, 480);
        assertThat(bias.firstWins() + bias.secondWins()).isLessThanOrEqualTo(1);
        assertThat(bias.consistent()).isBetween(0.0, 1.0);
    }

    @Test
    void raterBesideItself_agreesFully() {
        List<Judgment> judgments = pairwise().judgments();
        Agreement agreement = Agreement.of(List.of(judgments, judgments));
        assertThat(agreement.comparisons()).isEqualTo(480);
        assertThat(agreement.fleissKappa()).isCloseTo(1, within(1e-12));
        assertThat(agreement.kendall()).isCloseTo(1, within(1e-12));
        assertThat(agreement.spearman()).isCloseTo(1, within(1e-12));
    }
}
