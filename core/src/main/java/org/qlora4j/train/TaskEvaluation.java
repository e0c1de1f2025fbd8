package org.qlora4j.train;

import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.EvalConfig;
import org.qlora4j.generate.TextScorer;
import org.qlora4j.model.CausalModel;
import org.qlora4j.run.TaskMetrics;
import org.qlora4j.task.LocalTaskModel;
import org.qlora4j.task.TaskOptions;
import org.qlora4j.task.TaskResults;
import org.qlora4j.task.TaskRun;
import org.qlora4j.task.TaskSuite;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Asks the model the tasks of {@code eval.tasks} while it learns, as the paper's runs asked MMLU.
 */
final class TaskEvaluation {
    private final TaskSuite suite;
    private final LocalTaskModel model;

    TaskEvaluation(TaskSuite suite, CausalModel model, Tokenizer tokenizer) {
        this.suite = suite;
        this.model =
                new LocalTaskModel(
                        model, tokenizer, TextScorer.TOKENS_AT_ONCE, LocalTaskModel.TEXTS_AT_ONCE);
    }

    /** The tasks that the settings name, with their documents; null for none. */
    static @Nullable TaskSuite suite(EvalConfig config) {
        if (config.tasks().isEmpty()) {
            return null;
        }
        TaskOptions options = TaskOptions.DEFAULT;
        return TaskSuite.load(
                config.tasks(),
                new TaskOptions(
                        config.tasksNumFewshot(),
                        config.tasksLimit(),
                        options.chatTemplate(),
                        options.fewshotAsMultiturn(),
                        options.systemInstruction(),
                        options.seed(),
                        options.bootstrapIterations()));
    }

    /** Ends the asking of a run that was cancelled. */
    private static final class Cancelled extends RuntimeException {
        Cancelled() {
            super("cancelled", null, false, false);
        }
    }

    /**
     * What the weights as they are score.
     *
     * @return null if it was cancelled
     */
    @Nullable TaskMetrics measure(long step, double epoch, BooleanSupplier cancelled) {
        long began = System.nanoTime();
        try {
            TaskResults results =
                    TaskRun.run(
                            suite,
                            model,
                            null,
                            done -> {
                                if (cancelled.getAsBoolean()) {
                                    throw new Cancelled();
                                }
                            });
            double seconds = (System.nanoTime() - began) / 1e9;
            return new TaskMetrics(step, epoch, results.results(), seconds);
        } catch (Cancelled e) {
            return null;
        }
    }
}
