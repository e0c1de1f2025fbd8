package org.qlora4j.tokenize;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * How a byte-level tokenizer cuts text into words. llama.cpp gives each way a name ({@code
 * tokenizer.ggml.pre}), {@code tokenizer.json} says it in full. A name stands for the expressions
 * that llama.cpp has built in; what has no name cannot be written as GGUF.
 */
final class GgufPreTokenizer {
    private static final JsonMapper JSON = new JsonMapper();

    private static final String WORDS =
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}%s|"
                    + " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private static final String UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
    private static final String LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
    private static final String TEKKEN =
            "[^\\r\\n\\p{L}\\p{N}]?%1$s*%2$s+|[^\\r\\n\\p{L}\\p{N}]?%1$s+%2$s*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
                    .formatted(UPPER, LOWER);

    /** One expression each, behind which bytes become letters. */
    private static final Map<String, String> EXPRESSIONS =
            new TreeMap<>(
                    Map.of(
                            "llama-bpe", WORDS.formatted("{1,3}"),
                            "qwen2", WORDS.formatted(""),
                            "tekken", TEKKEN));

    private GgufPreTokenizer() {}

    /**
     * The name of a pre-tokenizer.
     *
     * @param json {@code pre_tokenizer} of {@code tokenizer.json}
     * @return null if it has none
     */
    static @Nullable String name(JsonNode json) {
        List<JsonNode> parts = new ArrayList<>();
        if (json.path("type").asString("").equals("Sequence")) {
            json.path("pretokenizers").forEach(parts::add);
        } else {
            parts.add(json);
        }
        JsonNode last = parts.isEmpty() ? json : parts.getLast();
        boolean byteLevel =
                last.path("type").asString("").equals("ByteLevel")
                        && !last.path("add_prefix_space").asBoolean(true);
        if (!byteLevel || parts.size() > 2) {
            return null;
        }
        boolean words = last.path("use_regex").asBoolean(true);
        if (parts.size() == 1) {
            return words ? "gpt-2" : null;
        }
        JsonNode first = parts.getFirst();
        if (words) {
            return first.path("type").asString("").equals("Digits")
                            && first.path("individual_digits").asBoolean(false)
                    ? "smollm"
                    : null;
        }
        boolean splits =
                first.path("type").asString("").equals("Split")
                        && first.path("behavior").asString("").equals("Isolated")
                        && !first.path("invert").asBoolean(false);
        String expression = first.path("pattern").path("Regex").asString("");
        return !splits
                ? null
                : EXPRESSIONS.entrySet().stream()
                        .filter(entry -> entry.getValue().equals(expression))
                        .map(Map.Entry::getKey)
                        .findFirst()
                        .orElse(null);
    }

    /**
     * The {@code pre_tokenizer} of a name, and null for one that is not known.
     *
     * @param pre as the file has it; llama.cpp's other names for the same count too
     */
    static @Nullable JsonNode json(String pre) {
        return switch (pre) {
            case "gpt-2",
                    "phi-2",
                    "jina-es",
                    "jina-de",
                    "modern-bert",
                    "mpt",
                    "olmo",
                    "jais",
                    "exaone4",
                    "default" ->
                    byteLevel(true);
            case "smollm", "starcoder", "refact", "command-r", "codeshell", "exaone" -> {
                ObjectNode digits = JSON.createObjectNode();
                digits.put("type", "Digits");
                digits.put("individual_digits", true);
                yield sequence(digits, byteLevel(true));
            }
            case "llama3", "llama-v3", "llama-bpe", "falcon3", "pixtral", "smaug-bpe", "dbrx" ->
                    split("llama-bpe");
            case "qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan" -> split("qwen2");
            case "tekken" -> split("tekken");
            default -> null;
        };
    }

    /** Whether words that are tokens are taken whole, without going through the merges. */
    static boolean ignoresMerges(String pre) {
        return json(pre) != null
                && List.of("llama3", "llama-v3", "llama-bpe", "falcon3", "pixtral", "tekken")
                        .contains(pre);
    }

    private static JsonNode split(String name) {
        ObjectNode split = JSON.createObjectNode();
        split.put("type", "Split");
        split.putObject("pattern").put("Regex", EXPRESSIONS.get(name));
        split.put("behavior", "Isolated");
        split.put("invert", false);
        return sequence(split, byteLevel(false));
    }

    private static ObjectNode byteLevel(boolean words) {
        ObjectNode json = JSON.createObjectNode();
        json.put("type", "ByteLevel");
        json.put("add_prefix_space", false);
        json.put("trim_offsets", true);
        json.put("use_regex", words);
        return json;
    }

    private static ObjectNode sequence(JsonNode... parts) {
        ObjectNode json = JSON.createObjectNode();
        json.put("type", "Sequence");
        ArrayNode all = json.putArray("pretokenizers");
        for (JsonNode part : parts) {
            all.add(part);
        }
        return json;
    }
}
