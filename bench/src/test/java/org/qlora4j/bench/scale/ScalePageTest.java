package org.qlora4j.bench.scale;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.bench.scale.Cluster.Sums;

/** What the page computes: its closed forms, its measured points, and that docs/scale.md has it. */
class ScalePageTest {
    private static final Path PAGE = Path.of("../docs/scale.md");
    private static final String BEGIN = "<!-- computed: begin -->\n";
    private static final String END = "<!-- computed: end -->\n";
    private static final Link LINK = new Link("a link", 0.5, 8);

    @Test
    void docs_holdWhatIsComputed() throws IOException {
        String page = Files.readString(PAGE);
        int from = page.indexOf(BEGIN) + BEGIN.length();
        int to = page.indexOf(END);
        if (Boolean.getBoolean("qlora.docs.write")) {
            page = page.substring(0, from) + ScalePage.text() + page.substring(to);
            Files.writeString(PAGE, page);
            to = page.indexOf(END);
        }
        assertThat(page.substring(from, to))
                .as("CONTRIBUTING.md has the line that makes it again")
                .isEqualTo(ScalePage.text());
    }

    @Test
    void measuredPoints_areMetWithin15Percent() {
        assertThat(Measured.points().stream().filter(point -> !point.given())).hasSize(5);
        assertThat(Measured.points())
                .allSatisfy(
                        point -> assertThat(point.error()).as(point.what()).isBetween(-0.15, 0.15));
    }

    /** A process begins a hop when the one before it has ended the last, and it itself too. */
    @ParameterizedTest
    @ValueSource(ints = {2, 3, 8})
    void ring_takesWhatItsHopsTakeOneByOne(int processes) {
        double hop = 0.5 + 96.0 / processes / 8;
        double[] at = new double[processes];
        at[1] = 3; // the slowest
        for (int round = 0; round < 2 * (processes - 1); round++) {
            double[] before = at.clone();
            for (int i = 0; i < processes; i++) {
                int left = (i + processes - 1) % processes;
                at[i] = Math.max(before[i], before[left]) + hop;
            }
        }
        double expected = 3 + LINK.ring(processes, 96);
        assertThat(Arrays.stream(at))
                .allSatisfy(end -> assertThat(end).isCloseTo(expected, within(1e-9)));
    }

    /** Time and idle share of 1F1B: arXiv 2006.09503 and 2104.04473, section 2.2. */
    @ParameterizedTest
    @CsvSource({"1, 4", "2, 1", "2, 4", "4, 4", "4, 16", "8, 3"})
    void stages_idleAsTheFormulaSays(int stages, int microBatches) {
        double seconds = new Stages(stages, 1, 2, 0).play(microBatches);
        assertThat(seconds).isEqualTo(3.0 * (microBatches + stages - 1));
        assertThat(1 - microBatches * 3 / seconds)
                .isCloseTo(Stages.bubble(stages, microBatches), within(1e-12));
    }

    /** By hand: F1 0-1, then at the second stage 1.5-2.5, B1 2.5-4.5, and back at the first 5-7. */
    @Test
    void stages_waitForMessages() {
        assertThat(new Stages(2, 1, 2, 0.5).play(1)).isEqualTo(7);
    }

    /** The paper's own program prints 159,907,840 for LLaMA 7B, rank 64 on all linears. */
    @Test
    void learntWeights_areThoseOfThePaper() {
        Job job = new Job(Measured.named("llama-7b"), 64, 1, 512, 4, true);
        assertThat(job.learnt()).isEqualTo(159_907_840);
        assertThat(job.gradientBytes()).isEqualTo(4L * 159_907_840);
    }

    @Test
    void fittedRates_giveBothStepsBack() {
        Job one = new Job(Measured.named("llama-3b"), 16, 1, 512, 1, true);
        Job other = new Job(Measured.named("llama-7b"), 64, 1, 2048, 2, false);
        Processor fitted = Processor.fitted("fitted", one, 10, other, 95);
        assertThat(fitted.seconds(one)).isCloseTo(10, within(1e-9));
        assertThat(fitted.seconds(other)).isCloseTo(95, within(1e-9));
    }

    @Test
    void sumsDuringTheBackwardPass_leaveTheLastBucketOrWhatTheLinkCannotCarry() {
        Job job = new Job(Measured.named("llama-7b"), 64, 1, 512, 4, true);
        Link fast = new Link("fast", 0, 1e12);
        Link slow = new Link("slow", 0, 1e6);
        long last = job.gradientBytes() % Link.BUCKET;
        assertThat(sum(fast, job, Sums.DURING)).isCloseTo(fast.ring(8, last), within(1e-6));
        double backward = Measured.H100.seconds(job) / 4 * 2 / 3;
        double first = backward * Link.BUCKET / job.gradientBytes();
        assertThat(sum(slow, job, Sums.DURING))
                .isCloseTo(sum(slow, job, Sums.AFTER) + first - backward, within(1e-6));
    }

    private static double sum(Link link, Job job, Sums sums) {
        return new Cluster(Measured.H100, link, 0, 1e9).play(job, 8, sums).sum();
    }
}
