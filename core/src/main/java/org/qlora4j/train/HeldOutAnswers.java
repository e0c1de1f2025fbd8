package org.qlora4j.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Example;
import org.qlora4j.generate.BatchGenerator;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.metric.Answers;
import org.qlora4j.model.CausalModel;
import org.qlora4j.plan.TrainingData;
import org.qlora4j.run.ExactMatch;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Asks a model the held-out examples and compares what it says with what stands there. The last
 * stretch of labels of an example is its answer, all before it the prompt: so every format and
 * template serves, and a prompt has the very tokens of training.
 */
final class HeldOutAnswers {
    /** Tokens beyond the expected answer: one that is longer is wrong, whatever follows. */
    private static final int SPARE_TOKENS = 8;

    private final Tokenizer tokenizer;
    private final List<Question> questions;
    private final int batchSize;
    private final BooleanSupplier cancelled;

    /**
     * A held-out example to be answered.
     *
     * @param prompt ids, at least one
     * @param expected ids of the answer, its end token among them
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Question(int[] prompt, int[] expected) {
        /** A token of the prompt, counted from its start or from its end. */
        int token(int place, boolean fromEnd) {
            return prompt[fromEnd ? prompt.length - 1 - place : place];
        }
    }

    /**
     * @param batchSize examples answered at once
     * @param cancelled asked before each example
     */
    HeldOutAnswers(
            Tokenizer tokenizer,
            Iterable<Example> examples,
            int batchSize,
            BooleanSupplier cancelled) {
        this.tokenizer = tokenizer;
        this.batchSize = batchSize;
        this.cancelled = cancelled;
        this.questions = new ArrayList<>();
        for (Example example : examples) {
            int end = example.labelled().length(); // behind the last label
            int start = end == 0 ? 0 : example.labelled().previousClearBit(end - 1) + 1;
            if (start > 0) { // else nothing is asked: text that is learnt from its first token
                questions.add(
                        new Question(
                                Arrays.copyOf(example.ids(), start),
                                Arrays.copyOfRange(example.ids(), start, end)));
            }
        }
    }

    /** What the settings ask for; null where nothing is to be answered. */
    static @Nullable HeldOutAnswers of(
            RunConfig config, Tokenizer tokenizer, TrainingData data, BooleanSupplier cancelled) {
        if (data.eval() == null || !config.eval().predictWithGenerate()) {
            return null;
        }
        return new HeldOutAnswers(
                tokenizer,
                data.eval().examples(),
                config.eval().perDeviceEvalBatchSize(),
                cancelled);
    }

    /** Answers in the order of the examples; null if the run was cancelled meanwhile. */
    @Nullable List<String> ask(CausalModel model) {
        @Nullable String[] answers = new @Nullable String[questions.size()];
        Iterator<Integer> places = IntStream.range(0, questions.size()).iterator();
        new BatchGenerator(model, Math.min(batchSize, Math.max(1, questions.size())))
                .generate(
                        () ->
                                places.hasNext() && !cancelled.getAsBoolean()
                                        ? request(places.next())
                                        : null,
                        (request, generation) -> {
                            int[] ids =
                                    generation.tokens().stream()
                                            .mapToInt(Integer::intValue)
                                            .toArray();
                            answers[request.index()] = text(ids);
                        });
        List<String> all = new ArrayList<>();
        for (@Nullable String answer : answers) {
            if (answer == null) {
                return null;
            }
            all.add(answer);
        }
        return all;
    }

    /**
     * Figures of answers that {@link #ask} gave.
     *
     * @return by name; empty where nothing was asked
     */
    Map<String, Double> scores(List<String> answers) {
        List<String> expected = questions.stream().map(q -> text(q.expected())).toList();
        return expected.isEmpty() ? Map.of() : Answers.scores(expected, answers);
    }

    private BatchGenerator.Request request(int place) {
        Question question = questions.get(place);
        return new BatchGenerator.Request(
                place,
                question.prompt(),
                GenerationConfig.DEFAULT.withMaxNewTokens(
                        question.expected().length + SPARE_TOKENS));
    }

    /** Sets answers from before and after the run beside what was expected. */
    ExactMatch compare(long step, List<String> base, List<String> finetuned) {
        int shortest = questions.stream().mapToInt(q -> q.prompt().length).min().orElse(1);
        int head = common(shortest - 1, false);
        int tail = common(shortest - 1 - head, true);
        List<ExactMatch.Prediction> predictions = new ArrayList<>();
        for (int i = 0; i < questions.size(); i++) {
            Question question = questions.get(i);
            int[] own =
                    Arrays.copyOfRange(question.prompt(), head, question.prompt().length - tail);
            predictions.add(
                    new ExactMatch.Prediction(
                            text(own), text(question.expected()), base.get(i), finetuned.get(i)));
        }
        return new ExactMatch(step, predictions);
    }

    /**
     * The most tokens at one end that all prompts share, at most so many; none where there is but
     * one prompt to tell it from.
     */
    private int common(int most, boolean atEnd) {
        int length = 0;
        while (questions.size() > 1 && length < most) {
            int place = length;
            if (questions.stream().mapToInt(q -> q.token(place, atEnd)).distinct().count() > 1) {
                break;
            }
            length++;
        }
        return length;
    }

    private String text(int[] ids) {
        return tokenizer.decode(ids, true).strip();
    }
}
