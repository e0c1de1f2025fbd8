package org.qlora4j.ask;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/**
 * A question to a model.
 *
 * @param messages the chat that the reply follows; empty where there is a raw prompt
 * @param raw a text that is continued as it stands, without a chat template; else null
 * @param labels the replies among which the likeliest is taken; empty for a reply in free text
 */
public record ChatCall(
        List<ChatMessage> messages,
        @Nullable String raw,
        List<String> labels,
        CallSettings settings)
        implements Serializable {
    private static final JsonMapper JSON = new JsonMapper();

    /** Bytes of English for each token, roughly, where no tokenizer is at hand. */
    private static final double BYTES_PER_TOKEN = 4;

    /** Tokens that a chat template writes around each message, roughly. */
    private static final int TOKENS_PER_MESSAGE = 4;

    public ChatCall {
        messages = List.copyOf(messages);
        labels = List.copyOf(labels);
        if (messages.isEmpty() == (raw == null)) {
            throw new IllegalArgumentException("a call has either messages or a raw prompt");
        }
    }

    /** A chat to be answered in free text. */
    public static ChatCall chat(List<ChatMessage> messages, CallSettings settings) {
        return new ChatCall(messages, null, List.of(), settings);
    }

    /** A text to be continued. */
    public static ChatCall raw(String text, CallSettings settings) {
        return new ChatCall(List.of(), text, List.of(), settings);
    }

    /** A chat to be answered by one of several labels. */
    public static ChatCall choice(
            List<ChatMessage> messages, List<String> labels, CallSettings settings) {
        return new ChatCall(messages, null, labels, settings);
    }

    /** What is asked, as JSON: two calls with the same are one. */
    Map<String, Object> json() {
        Map<String, Object> out = new LinkedHashMap<>();
        if (raw != null) {
            out.put("prompt", raw);
        } else {
            out.put("messages", messagesJson());
        }
        if (!labels.isEmpty()) {
            out.put("labels", labels);
        }
        out.put("settings", settings.json());
        return out;
    }

    /** The messages as objects of role and content. */
    public List<Map<String, Object>> messagesJson() {
        List<Map<String, Object>> out = new ArrayList<>();
        for (ChatMessage message : messages) {
            Map<String, Object> one = new LinkedHashMap<>();
            one.put("role", message.role());
            one.put("content", message.content());
            out.add(one);
        }
        return out;
    }

    /** Digest of what is asked of which model, 32 hex digits. */
    String key(String model) {
        Map<String, Object> facts = new LinkedHashMap<>();
        facts.put("model", model);
        facts.putAll(json());
        return digest(JSON.writeValueAsString(facts)).substring(0, 32);
    }

    /** SHA-256 of a text, in hex digits. */
    public static String digest(String text) {
        try {
            byte[] bytes =
                    MessageDigest.getInstance("SHA-256")
                            .digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(bytes);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e); // every JDK has it
        }
    }

    /** Tokens of the prompt, estimated from its bytes. */
    long estimatedTokens() {
        long bytes = raw == null ? 0 : raw.getBytes(StandardCharsets.UTF_8).length;
        for (ChatMessage message : messages) {
            bytes += message.content().getBytes(StandardCharsets.UTF_8).length;
        }
        return Math.round(bytes / BYTES_PER_TOKEN)
                + (long) TOKENS_PER_MESSAGE * (messages.size() + 1);
    }
}
