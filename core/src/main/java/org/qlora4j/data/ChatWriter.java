package org.qlora4j.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.UserException;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Writes chats with a model's chat template, in training and in use alike: contents of parts become
 * text where the template wants text, ends that stand in the text already are not doubled, control
 * tokens of people stay letters if asked, and arguments of calls are given as the template takes
 * them. Safe for several threads.
 */
public final class ChatWriter {
    private final ChatRenderer template;
    private final Tokenizer tokenizer;
    private final int eosId;
    private final ControlTokens control;
    private final TemplateProbe probe;
    private final Map<String, Object> variables;
    private final boolean sanitizes;
    private final Map<String, Boolean> used = new ConcurrentHashMap<>(); // variables

    /**
     * @param eosId ends a text
     * @param variables for the template, beside those of a chat, which win
     * @param sanitizes whether control tokens in messages are kept letters
     */
    public ChatWriter(
            ChatRenderer template,
            Tokenizer tokenizer,
            int eosId,
            Map<String, Object> variables,
            boolean sanitizes) {
        this.template = template;
        this.tokenizer = tokenizer;
        this.eosId = eosId;
        this.control = new ControlTokens(tokenizer);
        this.probe = new TemplateProbe(template, control);
        this.variables = Map.copyOf(variables);
        this.sanitizes = sanitizes;
    }

    /** What the template is asked for, to look at it. */
    ChatRenderer template() {
        return template;
    }

    ControlTokens control() {
        return control;
    }

    TemplateProbe probe() {
        return probe;
    }

    /**
     * Ids of the prompt that the assistant's next answer follows.
     *
     * @param what the prompt is, for the error of one that is too long
     * @param place of the chat, for other errors
     * @param context length of the model
     * @throws org.qlora4j.error.ConfigException if the prompt is surely longer
     * @throws org.qlora4j.error.FormatException if the template refuses the chat
     */
    public int[] promptIds(String what, Row place, Chat chat, int context) {
        Chat prepared = prepare(place, chat, new ArrayList<>());
        String text = render(place, prepared, prepared.messages().size(), true).text();
        tokenizer.checkPrompt(what, text, context);
        return ControlTokens.plain(text).equals(text)
                ? tokenizer.encode(what, text, false)
                : control.encode(text);
    }

    /**
     * The chat as the template takes it.
     *
     * @param told takes what was done to it, a sentence each, the same for every chat
     */
    Chat prepare(Row row, Chat chat, List<String> told) {
        List<Map<String, Object>> messages = new ArrayList<>();
        for (int i = 0; i < chat.messages().size(); i++) {
            messages.add(prepare(row, chat, i, told));
        }
        Map<String, Object> all = new LinkedHashMap<>(variables);
        all.putAll(chat.variables());
        List<String> unused = all.keySet().stream().filter(name -> !uses(name)).toList();
        if (!unused.isEmpty()) {
            told.add("the chat template does not use " + String.join(", ", unused));
        }
        all.replaceAll((name, value) -> inside(value, told));
        List<?> tools = chat.tools();
        return new Chat(
                List.copyOf(messages),
                tools == null ? null : tools.stream().map(tool -> inside(tool, told)).toList(),
                all);
    }

    private boolean uses(String variable) {
        return used.computeIfAbsent(variable, template::uses);
    }

    /** A value with the texts in it as {@link #guarded} makes them, however deep. */
    private Object inside(Object value, List<String> told) {
        return switch (value) {
            case String text -> guarded(text, told);
            case List<?> list -> {
                List<Object> items = new ArrayList<>(list.size());
                list.forEach(item -> items.add(item == null ? item : inside(item, told)));
                yield items;
            }
            case Map<?, ?> map -> {
                Map<Object, Object> fields = new LinkedHashMap<>();
                map.forEach((name, field) ->
                        fields.put(
                                inside(name, told), field == null ? field : inside(field, told)));
                yield fields;
            }
            default -> value;
        };
    }

    private Map<String, Object> prepare(Row row, Chat chat, int index, List<String> told) {
        Map<String, Object> message = chat.messages().get(index);
        Object content = message.get("content");
        if (content instanceof List<?> parts) {
            content = parts(row, chat, index, parts, told);
        }
        if (content instanceof String text) {
            content = guarded(withoutEnd(chat.role(index), text, told), told);
        }
        Map<String, Object> out = new LinkedHashMap<>(message);
        // calls, thoughts and names are people's words too
        out.replaceAll((name, value) ->
                value == null || name.equals("content") || name.equals("role")
                        ? value
                        : inside(value, told));
        out.put("content", content);
        return out.equals(message) ? message : out;
    }

    /** Parts as they are where the template goes through them, else their text. */
    private @Nullable Object parts(
            Row row, Chat chat, int index, List<?> parts, List<String> told) {
        List<String> texts = new ArrayList<>();
        String role = chat.role(index);
        boolean takes = probe.takesParts(role);
        for (Object part : parts) {
            String text = textOf(part);
            if (text != null) {
                texts.add(text);
                continue;
            }
            String type = part instanceof Map<?, ?> map ? String.valueOf(map.get("type")) : "?";
            if (!takes) {
                throw row.error(
                        "messages[%d].content has a part of type %s, but the chat template takes text alone",
                        index, type);
            }
            if (part instanceof Map<?, ?> map && !probe.writesPart(role, map)) {
                told.add(
                        "the chat template does not write parts of type %s, so that they are left out"
                                .formatted(type));
            }
        }
        return takes ? inside(parts, told) : String.join("\n", texts);
    }

    private static @Nullable String textOf(@Nullable Object part) {
        return switch (part) {
            case String text -> text;
            case Map<?, ?> map
                    when map.get("text") instanceof String text
                            && (map.get("type") == null
                                    || String.valueOf(map.get("type")).endsWith("text")) ->
                    text;
            case null, default -> null;
        };
    }

    /** A content without the token that the template itself puts behind it. */
    private String withoutEnd(String role, String content, List<String> told) {
        String text = content.stripTrailing();
        if (text.isEmpty() || control.firstIn(text) == null) {
            return content;
        }
        String end = probe.endOf(role);
        boolean doubled = !end.isEmpty() && text.endsWith(end);
        if (!doubled) {
            return content;
        }
        told.add(
                "messages end in %s already, which the chat template writes: it is not doubled"
                        .formatted(end));
        while (text.endsWith(end)) {
            text = text.substring(0, text.length() - end.length()).stripTrailing();
        }
        return text;
    }

    private String guarded(String given, List<String> told) {
        String content = ControlTokens.withoutMarks(given);
        String token = control.firstIn(content);
        if (token == null) {
            return content;
        }
        if (sanitizes) {
            told.add("control tokens such as %s in messages are kept letters".formatted(token));
            return control.guarded(content);
        }
        told.add(
                "messages hold control tokens such as %s, which the model reads as such; data.sanitize_control_tokens=true keeps them"
                                .formatted(token)
                        + " letters");
        return content;
    }

    /**
     * The text of the first messages of a chat. Arguments of calls are objects, or texts where the
     * template refuses objects.
     *
     * @param addGenerationPrompt whether the text ends where the next answer begins
     */
    ChatTemplate.Rendered render(Row row, Chat chat, int count, boolean addGenerationPrompt) {
        Chat first = chat.first(count);
        try {
            return template.render(first, addGenerationPrompt);
        } catch (UserException e) {
            List<Map<String, Object>> written = ToolArguments.asText(first.messages());
            if (written != first.messages()) {
                try {
                    return template.render(first.with(written), addGenerationPrompt);
                } catch (UserException other) {
                    e.addSuppressed(other);
                }
            }
            throw row.error(
                    "the chat template refuses the first %d messages: %s", count, e.getMessage());
        }
    }

    /** The token that ends texts, as it is written; empty if it cannot be. */
    String eos() {
        return tokenizer.token(eosId).orElse("");
    }

    /** Whether a text ends in a special token, or the one that ends texts. */
    boolean endsInControl(String text) {
        int[] ids = control.encode(text);
        if (ids.length == 0) {
            return false;
        }
        int[] last = {ids[ids.length - 1]};
        return last[0] == eosId
                || (tokenizer.decode(last, true).isEmpty()
                        && !tokenizer.decode(last, false).isEmpty());
    }

    /** {@link #render}, or null if the template refuses. */
    @Nullable String attempt(Row row, Chat chat, int count, boolean addGenerationPrompt) {
        try {
            return render(row, chat, count, addGenerationPrompt).text();
        } catch (UserException e) {
            return null;
        }
    }
}
