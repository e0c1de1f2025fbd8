package org.qlora4j.train;

import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.qlora4j.generate.Generation;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.Generator;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Answers the sample prompts without and with the adapter, so that a person sees what a run has
 * changed.
 */
final class SampleAnswers {
    private SampleAnswers() {}

    /** Stops between two tokens when the run is cancelled. */
    static void give(
            TrainConfig train,
            CausalModel model,
            Tokenizer tokenizer,
            LoraAdapter adapter,
            RunListener listener,
            BooleanSupplier cancelled) {
        for (String prompt : train.samplePrompt()) {
            adapter.detach();
            String base = answer(train, model, tokenizer, prompt, cancelled);
            adapter.attach();
            String finetuned = answer(train, model, tokenizer, prompt, cancelled);
            if (cancelled.getAsBoolean()) {
                return;
            }
            listener.sampleAnswered(new SampleAnswer(prompt, base, finetuned));
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
