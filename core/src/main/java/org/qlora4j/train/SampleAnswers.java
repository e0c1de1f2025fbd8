package org.qlora4j.train;

import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.qlora4j.generate.Generation;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Generator;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Answers the sample prompts before and after the run, so that a person sees what a run has
 * changed.
 */
final class SampleAnswers {
    private SampleAnswers() {}

    /** Stops between two tokens when the run is cancelled. */
    static void give(
            TrainConfig train,
            CausalModel model,
            Tokenizer tokenizer,
            Learner learner,
            RunListener listener,
            BooleanSupplier cancelled) {
        List<String> prompts = train.samplePrompt();
        if (prompts.isEmpty()) {
            return;
        }
        List<String> before =
                learner.withBase(base ->
                        prompts.stream()
                                .map(prompt -> answer(train, base, tokenizer, prompt, cancelled))
                                .toList());
        for (int i = 0; i < prompts.size(); i++) {
            String after = answer(train, model, tokenizer, prompts.get(i), cancelled);
            if (cancelled.getAsBoolean()) {
                return;
            }
            listener.sampleAnswered(new SampleAnswer(prompts.get(i), before.get(i), after));
        }
    }

    private static String answer(
            TrainConfig train,
            CausalModel model,
            Tokenizer tokenizer,
            String prompt,
            BooleanSupplier cancelled) {
        String text =
                tokenizer
                        .chatTemplate()
                        .map(t ->
                                t.render(
                                        List.of(Map.of("role", "user", "content", prompt)),
                                        null,
                                        true,
                                        Map.of()))
                        .orElse(prompt);
        Generation generation =
                new Generator(model)
                        .generate(
                                tokenizer.encode(text),
                                GenerationConfig.DEFAULT.withMaxNewTokens(
                                        train.sampleMaxNewTokens()),
                                token -> !cancelled.getAsBoolean());
        int[] ids = generation.tokens().stream().mapToInt(Integer::intValue).toArray();
        return tokenizer.decode(ids, true).strip();
    }
}
