package org.qlora4j.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Expected: statsmodels 0.15.0 and scipy 1.17.1, by make_paired_difference.py. */
class PairedDifferenceTest {
    /** {@code mcnemar(exact=True)}. */
    @ParameterizedTest
    @CsvSource({
        "0,0,1.0",
        "1,0,1.0",
        "7,2,0.1796875",
        "30,12,0.007915897334896727",
        "5,5,1.0",
        "400,310,0.0008254561170239438"
    })
    void mcNemar_isThatOfStatsmodels(int learnt, int forgotten, double p) {
        assertThat(PairedDifference.mcNemar(learnt, forgotten)).isCloseTo(p, within(1e-12));
        assertThat(PairedDifference.mcNemar(forgotten, learnt)).isCloseTo(p, within(1e-12));
    }

    /** Connor's formula with {@code norm.ppf}, rounded up. */
    @ParameterizedTest
    @CsvSource({"7,2,50,139", "30,12,200,202", "400,310,3000,2062"})
    void documentsNeeded_areThoseOfConnor(int learnt, int forgotten, int documents, double needed) {
        List<double[]> before = new ArrayList<>();
        List<double[]> after = new ArrayList<>();
        for (int i = 0; i < documents; i++) {
            boolean learns = i < learnt;
            boolean forgets = !learns && i < learnt + forgotten;
            before.add(new double[] {forgets ? 1 : 0});
            after.add(new double[] {learns ? 1 : 0});
        }
        PairedDifference got = PairedDifference.of(Aggregation.MEAN, before, after);
        assertThat(got.needed().orElseThrow()).isEqualTo(needed);
        assertThat(got.learnt().orElseThrow()).isEqualTo(learnt);
        assertThat(got.forgotten().orElseThrow()).isEqualTo(forgotten);
    }

    /** {@code bootstrap(paired=True, method="percentile")} of 100,000 draws. */
    @Test
    void interval_isThatOfScipy() {
        List<double[]> before = new ArrayList<>();
        List<double[]> after = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            before.add(new double[] {i < 40 ? 1 : 0});
            after.add(new double[] {(i >= 6 && i < 40) || (i >= 40 && i < 55) ? 1 : 0});
        }
        PairedDifference got = PairedDifference.of(Aggregation.MEAN, before, after);
        assertThat(got.difference()).isCloseTo(0.09, within(1e-12));
        assertThat(got.low()).isCloseTo(0, within(0.0101));
        assertThat(got.high()).isCloseTo(0.18, within(0.0101));
        assertThat(got.mcNemarP().orElseThrow()).isCloseTo(0.0783538818359375, within(1e-12));
    }

    @Test
    void perplexities_areComparedByTheBootstrap() {
        List<double[]> before = new ArrayList<>();
        List<double[]> after = new ArrayList<>();
        for (int i = 0; i < 80; i++) {
            double log = -(1 + 2.0 * i / 79);
            before.add(new double[] {log});
            after.add(new double[] {log + 0.1 * Math.sin(i) + 0.02});
        }
        PairedDifference got = PairedDifference.of(Aggregation.PERPLEXITY, before, after);
        assertThat(got.difference()).isCloseTo(-0.15999998947022487, within(1e-9));
        assertThat(got.low()).isCloseTo(-0.27509593779625746, within(0.005));
        assertThat(got.high()).isCloseTo(-0.04730997290352726, within(0.005));
        assertThat(got.bootstrapP()).isCloseTo(0.00498, within(0.003));
        assertThat(got.learnt()).isEmpty();
        assertThat(got.mcNemarP()).isEmpty();
    }
}
