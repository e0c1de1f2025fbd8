package org.qlora4j.grammar;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectReader;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/** How a model's template writes calls of tools, by which they are found in answers. */
public enum ToolForm {
    /** {@code <tool_call>{"name", "arguments"}</tool_call>}: Hermes, Qwen 2.5 and 3, SmolLM3. */
    HERMES("<tool_call>", "</tool_call>"),
    /** {@code [TOOL_CALLS]} and a list of calls, or {@code name[ARGS]{...}} each: Mistral. */
    MISTRAL("[TOOL_CALLS]", ""),
    /** The whole answer is {@code {"name", "parameters"}}: Llama 3. */
    LLAMA_3("<|python_tag|>", "");

    private static final JsonMapper JSON = JsonMapper.shared();
    private static final ObjectReader FIRST =
            JSON.reader().without(DeserializationFeature.FAIL_ON_TRAILING_TOKENS);
    private static final String ARGUMENTS = "[ARGS]";

    private final String open;
    private final String close;

    ToolForm(String open, String close) {
        this.open = open;
        this.close = close;
    }

    /** A call, its arguments as JSON. */
    public record Call(String name, String arguments) {}

    /** An answer: what is said, and what is called. */
    public record Answered(String content, List<Call> calls) {}

    /** The form of a template; null if it writes none of these. */
    public static @Nullable ToolForm of(String template) {
        if (!template.contains("tools")) {
            return null;
        }
        if (template.contains(HERMES.open)) {
            return HERMES;
        }
        if (template.contains(MISTRAL.open)) {
            return MISTRAL;
        }
        return template.contains("ipython") || template.contains("\"parameters\"") ? LLAMA_3 : null;
    }

    /** The words that open a call. */
    public String open() {
        return open;
    }

    /** Whether an answer that begins so is a call, or may become one. */
    boolean beginsCall(String answer) {
        String text = answer.stripLeading();
        return switch (this) {
            case HERMES -> false;
            case MISTRAL -> text.startsWith("[");
            case LLAMA_3 -> text.startsWith("{");
        };
    }

    /**
     * Finds calls.
     *
     * @param text an answer with its special tokens
     * @param names of tools; what calls another is text
     */
    public Answered parse(String text, Set<String> names) {
        List<Call> calls = new ArrayList<>();
        int from = text.indexOf(open);
        String inside = from < 0 ? text : text.substring(from + open.length());
        String content = from < 0 ? "" : text.substring(0, from);
        if (from < 0 && !beginsCall(text)) {
            return new Answered(text, List.of());
        }
        boolean good =
                switch (this) {
                    case HERMES -> hermes(inside, names, calls);
                    case MISTRAL -> mistral(inside.strip(), names, calls);
                    case LLAMA_3 -> objects(inside, ";", names, calls);
                };
        return good && !calls.isEmpty()
                ? new Answered(content.strip(), calls)
                : new Answered(text, List.of());
    }

    private boolean hermes(String inside, Set<String> names, List<Call> calls) {
        for (String part : inside.split(open, -1)) {
            int end = part.indexOf(close);
            Parsed parsed = Parsed.of(end < 0 ? part : part.substring(0, end));
            if (parsed == null || !take(parsed.json, names, calls)) {
                return false;
            }
        }
        return true;
    }

    private boolean mistral(String inside, Set<String> names, List<Call> calls) {
        if (inside.startsWith("[")) {
            Parsed parsed = Parsed.of(inside);
            return parsed != null
                    && parsed.json.valueStream().allMatch(each -> take(each, names, calls));
        }
        for (String part : inside.split("\\[TOOL_CALLS]", -1)) {
            int brace = part.indexOf('{');
            Parsed parsed = brace < 0 ? null : Parsed.of(part.substring(brace));
            if (parsed == null) {
                return false;
            }
            String name = part.substring(0, brace).replace(ARGUMENTS, "").strip();
            if (!names.contains(name)) {
                return false;
            }
            calls.add(new Call(name, JSON.writeValueAsString(parsed.json)));
        }
        return true;
    }

    private static boolean objects(
            String inside, String between, Set<String> names, List<Call> calls) {
        String rest = inside.strip();
        while (!rest.isEmpty()) {
            Parsed parsed = Parsed.of(rest);
            if (parsed == null || !take(parsed.json, names, calls)) {
                return false;
            }
            rest = rest.substring(parsed.end).strip();
            rest = rest.startsWith(between) ? rest.substring(between.length()).strip() : rest;
        }
        return true;
    }

    private static boolean take(JsonNode call, Set<String> names, List<Call> calls) {
        JsonNode given = call.has("arguments") ? call.get("arguments") : call.get("parameters");
        String name = call.path("name").asString("");
        if (!names.contains(name) || given == null) {
            return false;
        }
        calls.add(
                new Call(
                        name,
                        given.isString() ? given.asString() : JSON.writeValueAsString(given)));
        return true;
    }

    /** A value of JSON at the beginning of a text, and where it ends. */
    private record Parsed(JsonNode json, int end) {
        static @Nullable Parsed of(String text) {
            try (JsonParser parser = JSON.createParser(text)) {
                JsonNode json = FIRST.readTree(parser);
                return json == null || json.isMissingNode()
                        ? null
                        : new Parsed(json, (int) parser.currentLocation().getCharOffset());
            } catch (JacksonException e) {
                return null;
            }
        }
    }

    /** The grammar of one call of one of these tools. */
    public JsonGrammar grammar(Map<String, JsonNode> parameters) {
        ObjectNode schema = JSON.createObjectNode();
        ArrayNode choices = schema.putArray("anyOf");
        String key = this == LLAMA_3 ? "parameters" : "arguments";
        ObjectNode definitions = schema.putObject("$defs");
        parameters.forEach((name, own) -> {
            ObjectNode call = choices.addObject().put("type", "object");
            ObjectNode properties = call.putObject("properties");
            properties.putObject("name").put("const", name);
            properties.set(key, own);
            own.path("$defs").properties().forEach(d -> definitions.set(d.getKey(), d.getValue()));
            call.putArray("required").add("name").add(key);
        });
        return switch (this) {
            case HERMES -> JsonGrammar.between(open + "\n", schema, "\n" + close);
            case MISTRAL -> JsonGrammar.between("[", schema, "]"); // its opening word is no text
            case LLAMA_3 -> JsonGrammar.between("", schema, "");
        };
    }
}
