package org.qlora4j.data;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A model's chat template as this package uses it. */
@FunctionalInterface
public interface ChatRenderer {
    /**
     * The text of a chat, with every special token written out.
     *
     * @param messages maps with at least {@code role}
     * @param tools function signatures the record offers, or null
     * @param addGenerationPrompt whether the text ends where the assistant's next answer begins
     */
    String render(
            List<Map<String, Object>> messages,
            @Nullable List<?> tools,
            boolean addGenerationPrompt);
}
