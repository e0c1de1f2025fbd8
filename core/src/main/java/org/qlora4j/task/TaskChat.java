package org.qlora4j.task;

import java.util.List;
import java.util.Map;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tokenize.Tokenizer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Chats of tasks as text, by a tokenizer's chat template. */
public final class TaskChat {
    private static final Logger LOG = LoggerFactory.getLogger(TaskChat.class);

    private final Tokenizer tokenizer;
    private boolean saidNoSystem = false;

    public TaskChat(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
    }

    /**
     * The text of a chat, as {@link TaskModel#chat} says.
     *
     * @throws ConfigException if the tokenizer has no chat template
     */
    public String text(List<Map<String, String>> messages, boolean open) {
        ChatTemplate template =
                tokenizer
                        .chatTemplate()
                        .orElseThrow(() ->
                                new ConfigException(
                                        "the model has no chat template; leave --apply-chat-template out"));
        try {
            return rendered(template, messages, open);
        } catch (FormatException e) { // as the harness, for templates that take no system message
            List<Map<String, String>> others =
                    messages.stream().filter(m -> !"system".equals(m.get("role"))).toList();
            if (others.size() == messages.size()) {
                throw e;
            }
            if (!saidNoSystem) {
                saidNoSystem = true;
                LOG.warn(
                        "the chat template takes no system message, which is left out: {}",
                        e.getMessage());
            }
            return rendered(template, others, open);
        }
    }

    private static String rendered(
            ChatTemplate template, List<Map<String, String>> messages, boolean open) {
        String text = template.render(messages, null, open, Map.of());
        if (open) {
            return text;
        }
        // continue_final_message: up to the end of the last message
        String last = String.valueOf(messages.getLast().get("content"));
        String plain = PythonText.strip(last);
        int at = text.lastIndexOf(plain);
        if (at < 0) {
            throw new FormatException("the chat template does not print gen_prefix as it is");
        }
        String whole = last.substring(last.indexOf(plain));
        return text.startsWith(whole, at)
                ? text.substring(0, at + whole.length())
                : text.substring(0, at + plain.length());
    }
}
