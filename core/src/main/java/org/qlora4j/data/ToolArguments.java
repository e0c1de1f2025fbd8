package org.qlora4j.data;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.qlora4j.template.ChatTemplate;

/**
 * The arguments of tool calls as text. {@link Chat} keeps them as objects, which most templates
 * print with {@code tojson} (Llama 3.1, Qwen); others, such as DeepSeek's, join them to the text
 * around and so need the text that OpenAI's API gives.
 */
final class ToolArguments {
    private static final ChatTemplate JSON =
            ChatTemplate.of("{{ arguments | tojson }}", "arguments");

    private ToolArguments() {}

    /**
     * The messages with each call's arguments as JSON, spaced as Python's {@code json.dumps} does;
     * the same list if no call has an object for arguments.
     */
    static List<Map<String, Object>> asText(List<Map<String, Object>> messages) {
        List<Map<String, Object>> out = new ArrayList<>();
        boolean changed = false;
        for (Map<String, Object> message : messages) {
            Map<String, Object> written = new LinkedHashMap<>(message);
            if (message.get("tool_calls") instanceof List<?> calls) {
                written.put("tool_calls", calls.stream().map(ToolArguments::callAsText).toList());
            }
            changed |= !written.equals(message);
            out.add(written);
        }
        return changed ? out : messages;
    }

    private static Object callAsText(Object call) {
        if (!(call instanceof Map<?, ?> map
                && map.get("function") instanceof Map<?, ?> function
                && function.get("arguments") instanceof Map<?, ?> arguments)) {
            return call;
        }
        Map<Object, Object> inner = new LinkedHashMap<>(function);
        inner.put("arguments", JSON.render(List.of(), null, false, Map.of("arguments", arguments)));
        Map<Object, Object> out = new LinkedHashMap<>(map);
        out.put("function", inner);
        return out;
    }
}
