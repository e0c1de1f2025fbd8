package org.qlora4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.config.RunConfig;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.testing.TinyLlama;

/**
 * A question that is asked while a run goes on waits for a step, and changes nothing in the run.
 */
class ChatDuringTrainingTest {
    @TempDir Path folder;

    private RunConfig config(String run) throws Exception {
        Path data = folder.resolve("data.jsonl");
        Files.writeString(data, "{\"input\": \"a b\", \"output\": \"c d\"}\n".repeat(4));
        return RunConfig.builder()
                .model(model -> model.modelNameOrPath(TinyLlama.folder()))
                .data(rows -> rows.dataset(data))
                .train(train ->
                        train.outputDir(folder.resolve(run))
                                .maxSteps(4)
                                .gradientAccumulationSteps(2))
                .build();
    }

    /** Lets somebody ask during the first step, and keeps losses. */
    private static final class Asking implements RunListener {
        final List<Double> losses = new ArrayList<>();
        final CountDownLatch firstStep = new CountDownLatch(1);
        final CountDownLatch asked = new CountDownLatch(1);
        volatile @Nullable PendingAnswer pending;
        boolean answeredInTime;

        @Override
        public void stepDone(StepMetrics step) {
            losses.add(step.loss());
            PendingAnswer answer = pending;
            answeredInTime |= step.step() == 2 && answer != null && answer.isDone();
            if (step.step() == 1) {
                firstStep.countDown();
                try {
                    assertThat(asked.await(60, TimeUnit.SECONDS)).isTrue();
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
            }
        }
    }

    @Test
    void question_isAnsweredBehindTheStep() throws Exception {
        Asking alone = new Asking();
        alone.asked.countDown();
        new Trainer(config("alone"), false, alone).run();
        Asking disturbed = new Asking();
        try (LanguageModel model = LanguageModel.load(TinyLlama.folder())) {
            RunConfig config = config("disturbed");
            Thread run = new Thread(() -> new Trainer(config, false, disturbed).run());
            run.start();
            assertThat(disturbed.firstStep.await(60, TimeUnit.SECONDS)).isTrue();
            disturbed.pending =
                    model.start(
                            new Prompt.Raw("a b"),
                            GenerationConfig.DEFAULT.withMaxNewTokens(4),
                            text -> {});
            disturbed.asked.countDown();
            run.join(60_000);
        }
        assertThat(disturbed.answeredInTime).isTrue();
        assertThat(disturbed.losses).isEqualTo(alone.losses);
        assertThat(alone.losses).hasSize(4);
    }
}
