package org.qlora4j;

import java.util.List;
import java.util.Map;

/** What a model is asked to continue. */
public sealed interface Prompt {
    /**
     * A chat, which the model's chat template makes a prompt.
     *
     * @param messages with {@code role} (such as system, user, assistant) and {@code content}
     */
    record Chat(List<Map<String, Object>> messages) implements Prompt {
        public Chat {
            messages = List.copyOf(messages);
        }
    }

    /** A text as it stands; special tokens written in it count as such. */
    record Raw(String text) implements Prompt {}
}
