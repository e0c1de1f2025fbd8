package org.qlora4j.train;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.TrainConfig;
import org.qlora4j.data.ChatSettings;
import org.qlora4j.generate.Generation;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Generator;
import org.qlora4j.model.CausalModel;
import org.qlora4j.run.ExactMatch;
import org.qlora4j.run.MetricsFile;
import org.qlora4j.run.RunFolder;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.SampleAnswer;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Answers the sample prompts before and after the run, and the held-out examples if asked. A person
 * sees so what a run has changed.
 */
final class SampleAnswers {
    private final TrainConfig train;
    private final ChatSettings chats;
    private final CausalModel model;
    private final Tokenizer tokenizer;
    private final Learner learner;
    private final @Nullable HeldOutAnswers heldOut;
    private final MetricsFile file;
    private final MetricsFile predictions;
    private final RunListener listener;
    private final BooleanSupplier cancelled;
    private @Nullable List<String> ofBase;
    private @Nullable List<String> predictedByBase;
    private @Nullable List<String> newest; // answers to the held-out examples
    private long newestStep = -1; // after which they were given

    SampleAnswers(
            RunConfig config,
            CausalModel model,
            Tokenizer tokenizer,
            Learner learner,
            @Nullable HeldOutAnswers heldOut,
            RunFolder folder,
            RunListener listener,
            BooleanSupplier cancelled) {
        this.train = config.train();
        this.chats = ChatSettings.of(config.data());
        this.model = model;
        this.tokenizer = tokenizer;
        this.learner = learner;
        this.heldOut = heldOut;
        this.file = new MetricsFile(folder.samplesFile());
        this.predictions = new MetricsFile(folder.predictionsFile());
        this.listener = listener;
        this.cancelled = cancelled;
    }

    /** Forgets answers of later steps: a run that goes on gives them again. */
    void keepUpTo(long step) {
        file.keep(line -> line.path("step").asLong(Long.MAX_VALUE) <= step);
    }

    /**
     * Before the first step, of a run that is new: what the model says, if it could only be loaded
     * once more to be asked later.
     */
    void askBase() {
        if (!learner.keepsBase()) {
            ofBase = answers(model);
            predictedByBase = heldOut == null ? null : heldOut.ask(model);
        }
    }

    private List<String> answers(CausalModel asked) {
        return train.samplePrompt().stream().map(prompt -> answer(asked, prompt)).toList();
    }

    /** While the run goes on: answers where they are due after so many steps. */
    void giveIfDue(long step) {
        if (train.sampleSteps() > 0 && step % train.sampleSteps() == 0) {
            for (String prompt : train.samplePrompt()) {
                String now = answer(model, prompt);
                if (cancelled.getAsBoolean()) {
                    return;
                }
                tell(new SampleAnswer(step, prompt, null, now));
            }
        }
    }

    /** At the end: what the model says now beside what it said before the run. */
    void giveAtEnd(long step) {
        List<String> prompts = train.samplePrompt();
        if (prompts.isEmpty()) {
            return;
        }
        List<String> before = ofBase == null ? learner.withBase(this::answers) : ofBase;
        file.keep(line -> line.path("step").asLong(Long.MAX_VALUE) < step);
        for (int i = 0; i < prompts.size(); i++) {
            String after = answer(model, prompts.get(i));
            if (cancelled.getAsBoolean()) {
                return;
            }
            tell(new SampleAnswer(step, prompts.get(i), before.get(i), after));
        }
    }

    /**
     * At an evaluation: figures of the answers to the held-out examples, if they are to be
     * answered.
     *
     * @return null if the run was cancelled meanwhile
     */
    @Nullable Map<String, Double> scores(long step) {
        if (heldOut == null) {
            return Map.of();
        }
        newest = heldOut.ask(model);
        newestStep = step;
        return newest == null ? null : heldOut.scores(newest);
    }

    /** Says that the weights are others now than at the last step. */
    void forget() {
        newest = null;
    }

    /** At the end: the held-out examples, if they are to be answered. */
    void compareAtEnd(long step) {
        if (heldOut == null) {
            return;
        }
        listener.notice("answering the held-out examples ...");
        List<String> before =
                predictedByBase == null ? learner.withBase(heldOut::ask) : predictedByBase;
        List<String> after = newest != null && newestStep == step ? newest : heldOut.ask(model);
        if (before == null || after == null) {
            return; // cancelled
        }
        ExactMatch answers = heldOut.compare(step, before, after);
        predictions.keep(line -> false);
        for (ExactMatch.Prediction one : answers.predictions()) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("step", step);
            line.put("prompt", one.prompt());
            line.put("expected", one.expected());
            line.put("base", one.base());
            line.put("answer", one.finetuned());
            line.put("base_exact_match", one.baseIsRight());
            line.put("exact_match", one.isRight());
            predictions.append(line);
        }
        listener.compared(answers);
    }

    private void tell(SampleAnswer answer) {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("step", answer.step());
        line.put("prompt", answer.prompt());
        if (answer.base() != null) {
            line.put("base", answer.base());
        }
        line.put("answer", answer.finetuned());
        file.append(line);
        listener.sampleAnswered(answer);
    }

    /** Stops between two tokens when the run is cancelled. */
    private String answer(CausalModel asked, String prompt) {
        int[] asks =
                tokenizer
                        .chatTemplate()
                        .map(template ->
                                chats.promptIds(
                                        "the sample prompt",
                                        List.of(Map.of("role", "user", "content", prompt)),
                                        template,
                                        tokenizer,
                                        asked.maxPositions()))
                        .orElseGet(() -> tokenizer.encode("the sample prompt", prompt, false));
        Generation generation =
                new Generator(asked)
                        .generate(
                                asks,
                                GenerationConfig.DEFAULT.withMaxNewTokens(
                                        train.sampleMaxNewTokens()),
                                token -> !cancelled.getAsBoolean());
        int[] ids = generation.tokens().stream().mapToInt(Integer::intValue).toArray();
        return tokenizer.decode(ids, true).strip();
    }
}
