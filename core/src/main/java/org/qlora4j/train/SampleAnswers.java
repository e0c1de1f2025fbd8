package org.qlora4j.train;

import java.util.List;
import java.util.Map;
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

    static void give(
            TrainConfig train,
            CausalModel model,
            Tokenizer tokenizer,
            LoraAdapter adapter,
            RunListener listener) {
        for (String prompt : train.samplePrompt()) {
            adapter.detach();
            String base = answer(train, model, tokenizer, prompt);
            adapter.attach();
            listener.sampleAnswered(
                    new SampleAnswer(prompt, base, answer(train, model, tokenizer, prompt)));
        }
    }

    private static String answer(
            TrainConfig train, CausalModel model, Tokenizer tokenizer, String prompt) {
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
                                token -> true);
        int[] ids = generation.tokens().stream().mapToInt(Integer::intValue).toArray();
        return tokenizer.decode(ids, true).strip();
    }
}
