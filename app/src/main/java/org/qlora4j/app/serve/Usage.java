package org.qlora4j.app.serve;

import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.Answer;
import org.qlora4j.generate.StopReason;

/** Tokens of a request's prompts and answers; a prompt with several answers counts once. */
final class Usage {
    private long prompt;
    private long completion;

    /**
     * Adds an answer.
     *
     * @param first whether it is the first to its prompt
     */
    void add(Answer answer, boolean first) {
        prompt += first ? answer.promptTokens() : 0;
        completion += answer.newTokens();
    }

    Map<String, Object> json() {
        Map<String, Object> out = new LinkedHashMap<>();
        out.put("prompt_tokens", prompt);
        out.put("completion_tokens", completion);
        out.put("total_tokens", prompt + completion);
        return out;
    }

    /** OpenAI's word for the end of an answer. */
    static @Nullable String finishReason(StopReason reason) {
        return switch (reason) {
            case END_OF_TEXT, STOP_STRING -> "stop";
            case MAX_NEW_TOKENS, CONTEXT_FULL -> "length";
            case CANCELLED -> "cancelled";
        };
    }
}
