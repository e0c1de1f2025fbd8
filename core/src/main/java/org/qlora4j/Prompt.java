package org.qlora4j;

import static org.qlora4j.error.Require.given;

import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.data.Row;

/** What a model is asked to continue. */
public sealed interface Prompt {
    /**
     * A chat, which the model's chat template makes a prompt.
     *
     * @param messages with {@code role} (such as system, user, assistant) and {@code content}
     */
    record Chat(List<Map<String, Object>> messages) implements Prompt {
        public Chat {
            given(messages, "messages").forEach(message -> given(message, "a message"));
            messages = List.copyOf(messages);
        }
    }

    /**
     * A record of training data's layout: {@code messages} or {@code conversations} with what may
     * stand beside them, such as {@code tools} and {@code chat_template_kwargs}.
     *
     * @param system instructions for a chat that has none of its own, null for none
     */
    record OfRecord(Row row, @Nullable String system) implements Prompt {
        public OfRecord {
            given(row, "row");
        }
    }

    /** Token ids as they are; nothing is put before them. */
    record Ids(List<Integer> ids) implements Prompt {
        public Ids {
            given(ids, "ids").forEach(id -> given(id, "an id"));
            ids = List.copyOf(ids);
        }
    }

    /** A text as it stands; special tokens written in it count as such. */
    record Raw(String text) implements Prompt {
        public Raw {
            given(text, "text");
        }
    }
}
