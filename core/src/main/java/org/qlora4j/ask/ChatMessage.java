package org.qlora4j.ask;

/**
 * A message of a chat.
 *
 * @param role such as system, user, assistant
 */
public record ChatMessage(String role, String content) {
    /** What a person says. */
    public static ChatMessage user(String content) {
        return new ChatMessage("user", content);
    }

    /** What the model said. */
    public static ChatMessage assistant(String content) {
        return new ChatMessage("assistant", content);
    }
}
