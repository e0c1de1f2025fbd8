package org.qlora4j.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.assertj.core.data.Percentage;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.BatchSampler;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.model.CausalModel;
import org.qlora4j.optim.AdamW;
import org.qlora4j.optim.ParameterGroup;
import org.qlora4j.optim.TrainableParameters;
import org.qlora4j.plan.RunInputs;
import org.qlora4j.plan.TrainingData;
import org.qlora4j.run.RunInfo;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.run.TrainResult;
import org.qlora4j.tensor.NativeMemory;

class LongestBatchTest {
    @TempDir Path folder;
    private Path data;

    @BeforeEach
    void layOut() {
        data = TinyRun.data(folder);
    }

    private RunConfig config(String... settings) {
        return TinyRun.config(folder.resolve("run"), data, settings);
    }

    private static TrainingData load(RunConfig config) {
        try (RunInputs inputs = RunInputs.load(config)) {
            return inputs.data();
        }
    }

    @Test
    void rows_areTheLongestExamples() {
        RunConfig config = config("train.per_device_train_batch_size=3");
        TrainingData examples = load(config);
        LongestBatch longest =
                LongestBatch.of(examples, examples.sampler(config), 1, Integer.MAX_VALUE);
        int[] lengths = examples.train().lengths();
        int[] sorted = Arrays.stream(lengths).sorted().toArray();
        int[] chosen = Arrays.stream(longest.rows()).mapToInt(row -> lengths[row[0]]).toArray();
        int n = sorted.length;
        assertThat(chosen).containsExactly(sorted[n - 1], sorted[n - 2], sorted[n - 3]);
        assertThat(longest.time()).isEqualTo(sorted[n - 1]);
    }

    @Test
    void fewerExamplesThanABatch_areAllOfThem() {
        RunConfig config = config("train.per_device_train_batch_size=100");
        TrainingData examples = load(config);
        LongestBatch longest =
                LongestBatch.of(examples, examples.sampler(config), 1, Integer.MAX_VALUE);
        assertThat(longest.rows()).hasNumberOfRows(TinyRun.EXAMPLES);
    }

    @Test
    void packedRows_areTheFullest() {
        RunConfig config =
                config(
                        "data.packing=true",
                        "data.source_max_len=32",
                        "data.target_max_len=32",
                        "data.pad_to_multiple_of=16");
        TrainingData examples = load(config);
        BatchSampler sampler = examples.sampler(config);
        LongestBatch longest = LongestBatch.of(examples, sampler, 1, Integer.MAX_VALUE);
        assertThat(longest.time()).isEqualTo(64);
        for (int[][] batch : sampler.batchesOf(0)) {
            assertThat(examples.batch(batch).time()).isLessThanOrEqualTo(longest.time());
        }
    }

    @Test
    void stepThatBeginsWithIt_isNotTriedTwice() {
        RunConfig grouped = config("data.group_by_length=true");
        TrainingData examples = load(grouped);
        BatchSampler sampler = examples.sampler(grouped);
        LongestBatch longest = LongestBatch.of(examples, sampler, 1, Integer.MAX_VALUE);
        assertThat(longest.comesFirst(sampler.stepAt(0).share(0, 1), examples)).isTrue();
        assertThat(
                        longest.comesFirst(
                                sampler.stepAt(sampler.stepsPerEpoch() - 1).share(0, 1), examples))
                .isFalse();
    }

    /** Two steps with dropout, before each of which the longest batch is tried or not. */
    @Test
    void trial_changesNoBitOfTheSteps() {
        assertThat(steps(true)).isEqualTo(steps(false));
    }

    private List<Object> steps(boolean tries) {
        RunConfig config = config("lora.lora_dropout=0.1");
        TrainingData examples = load(config);
        BatchSampler sampler = examples.sampler(config);
        LongestBatch longest = LongestBatch.of(examples, sampler, 1, Integer.MAX_VALUE);
        List<Object> out = new ArrayList<>();
        ModelPlace place = ModelPlace.of(config.model());
        try (CausalModel model = TrainingRun.load(place, config, false);
                Learner learner = Learner.create(config, place, model, null);
                TrainableParameters parameters =
                        new TrainableParameters(
                                learner.parameters(), p -> ParameterGroup.of(p, null));
                AdamW optimizer = new AdamW(parameters, config.train().optimizer(), folder)) {
            TrainingStep update =
                    new TrainingStep(
                            config.train(),
                            model,
                            examples,
                            parameters,
                            optimizer,
                            null,
                            Placement.ALONE,
                            null,
                            () -> false);
            for (int step = 0; step < 2; step++) {
                if (tries) {
                    update.tryOut(longest.rows());
                }
                out.add(update.accumulate(sampler.stepAt(step)));
                update.apply(1e-2);
            }
            learner.parameters().forEach(p -> out.add(Floats.of(p.master().toFloats())));
        }
        return out;
    }

    /** Floats that are equal if their bits are. */
    private record Floats(List<Integer> bits) {
        static Floats of(float[] values) {
            List<Integer> bits = new ArrayList<>();
            for (float value : values) {
                bits.add(Float.floatToRawIntBits(value));
            }
            return new Floats(bits);
        }
    }

    /** One step on a short example: only the trial can have taken what was planned. */
    @Test
    void run_takesWhatItsLongestBatchNeedsBeforeTheFirstStep() {
        RunConfig config =
                config(
                        "data.group_by_length=false",
                        "train.per_device_train_batch_size=1",
                        "train.gradient_accumulation_steps=1",
                        "train.gradient_checkpointing=false",
                        "train.max_steps=1");
        TrainingData examples = load(config);
        BatchSampler sampler = examples.sampler(config);
        LongestBatch longest = LongestBatch.of(examples, sampler, 1, Integer.MAX_VALUE);
        int first = examples.batch(sampler.stepAt(0).batches().getFirst()).time();
        assertThat(first).isLessThan(longest.time() - 10);
        long[] peaks = new long[1];
        RunListener listener =
                new RunListener() {
                    @Override
                    public void started(RunInfo info) {
                        NativeMemory.resetPeak();
                    }

                    @Override
                    public void stepDone(StepMetrics metrics) {
                        peaks[0] = NativeMemory.peakBytes();
                    }
                };
        long before = NativeMemory.liveBytes();
        TrainResult result = new TrainingRun(config, false, listener).run();
        assertThat(peaks[0] - before)
                .isCloseTo(result.plan().total(), Percentage.withPercentage(10));
    }
}
