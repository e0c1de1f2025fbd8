package org.qlora4j.ask;

import java.io.Serializable;

/**
 * A message of a chat.
 *
 * @param role such as system, user, assistant
 */
public record ChatMessage(String role, String content) implements Serializable {
    /** What a person says. */
    public static ChatMessage user(String content) {
        return new ChatMessage("user", content);
    }

    /** What the model said. */
    public static ChatMessage assistant(String content) {
        return new ChatMessage("assistant", content);
    }
}
