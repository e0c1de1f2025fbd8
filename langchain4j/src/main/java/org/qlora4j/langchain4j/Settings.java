package org.qlora4j.langchain4j;

import dev.langchain4j.model.chat.listener.ChatModelListener;
import dev.langchain4j.model.chat.request.ChatRequestParameters;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import org.jspecify.annotations.Nullable;
import org.qlora4j.TextService;
import org.qlora4j.generate.GenerationConfig;

/**
 * What a chat model of this package was built with.
 *
 * @param generation settings that LangChain4j has no names for
 * @param parameters of requests that have none of their own
 * @param seed of the first answer; null for another each time
 */
record Settings(
        TextService service,
        GenerationConfig generation,
        ChatRequestParameters parameters,
        @Nullable Long seed,
        Duration timeout,
        List<ChatModelListener> listeners) {
    /** The settings of a request's answer. */
    GenerationConfig generation(ChatRequestParameters asked) {
        GenerationConfig.Builder out = generation.toBuilder();
        if (asked.temperature() != null) {
            out.temperatureOrGreedy(asked.temperature());
        }
        if (asked.topP() != null) {
            out.topP(asked.topP());
        }
        if (asked.topK() != null) {
            out.topK(asked.topK());
        }
        if (asked.frequencyPenalty() != null) {
            out.frequencyPenalty(asked.frequencyPenalty());
        }
        if (asked.presencePenalty() != null) {
            out.presencePenalty(asked.presencePenalty());
        }
        if (asked.maxOutputTokens() != null) {
            out.maxNewTokens(asked.maxOutputTokens());
        }
        if (asked.stopSequences() != null && !asked.stopSequences().isEmpty()) {
            out.stopStrings(asked.stopSequences());
        }
        return out.seed(seed == null ? ThreadLocalRandom.current().nextLong() : seed).build();
    }
}
