package org.qlora4j;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import java.util.function.IntFunction;
import java.util.function.IntPredicate;
import org.jspecify.annotations.Nullable;
import org.qlora4j.generate.BatchGenerator;
import org.qlora4j.generate.BatchGenerator.Request;
import org.qlora4j.generate.Generation;
import org.qlora4j.generate.GenerationConfig;
import org.qlora4j.generate.InferenceHead;
import org.qlora4j.generate.StopReason;
import org.qlora4j.generate.TextOutput;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tokenize.Tokenizer;

/** Prompts to answers through a {@link BatchGenerator}. */
final class BatchAnswers {
    private BatchAnswers() {}

    static List<Answer> of(
            CausalModel model,
            InferenceHead head,
            Voice voice,
            List<Prompt> prompts,
            IntFunction<GenerationConfig> configs,
            int batch,
            IntPredicate wanted,
            BiConsumer<Integer, Answer> onAnswer) {
        Tokenizer tokenizer = voice.tokenizer();
        List<Request> requests = new ArrayList<>();
        for (int index = 0; index < prompts.size(); index++) {
            if (!wanted.test(index)) {
                continue;
            }
            int[] ids = voice.ids("prompt " + (index + 1), prompts.get(index));
            requests.add(new Request(index, ids, configs.apply(index)));
        }
        Map<Integer, StoppedText> texts = new HashMap<>();
        for (Request r : requests) {
            if (!r.config().stopStrings().isEmpty()) {
                texts.put(r.index(), new StoppedText(tokenizer, r.config()));
            }
        }
        Iterator<Request> left = requests.iterator();
        Map<Integer, Answer> answers = new TreeMap<>();
        new BatchGenerator(model, head, Math.min(batch, Math.max(1, prompts.size())))
                .generate(
                        () -> left.hasNext() ? left.next() : null,
                        (request, token) -> {
                            StoppedText text = texts.get(request.index());
                            return text == null ? null : text.take(token.id());
                        },
                        (request, generation) -> {
                            StoppedText text = texts.remove(request.index());
                            Answer answer = answer(tokenizer, generation, text);
                            answers.put(request.index(), answer);
                            onAnswer.accept(request.index(), answer);
                        });
        return List.copyOf(answers.values());
    }

    /** An answer that ends before a stop string. */
    private static final class StoppedText {
        private final TextOutput output;
        private final StringBuilder text = new StringBuilder();

        StoppedText(Tokenizer tokenizer, GenerationConfig config) {
            output = new TextOutput(tokenizer.stream(true), config.stopStrings());
        }

        @Nullable StopReason take(int id) {
            text.append(output.push(id));
            return output.isStopped() ? StopReason.STOP_STRING : null;
        }

        String whole() {
            return text.append(output.finish()).toString();
        }
    }

    private static Answer answer(
            Tokenizer tokenizer, Generation generation, @Nullable StoppedText text) {
        int[] ids = generation.tokens().stream().mapToInt(Integer::intValue).toArray();
        return new Answer(
                text == null ? tokenizer.decode(ids, true) : text.whole(),
                generation.stopReason(),
                generation.promptTokens(),
                ids.length,
                generation.prefillSeconds(),
                generation.decodeSeconds());
    }
}
