package org.qlora4j.tokenize;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Tokens that are found in texts before all others, as the files beside a tokenizer name them.
 * Those that its vocabulary lacks come behind it, in transformers' order.
 */
final class SpecialTokens {
    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final Path folder;
    private final Map<String, Integer> ids;
    private final Map<String, ObjectNode> tokens = new LinkedHashMap<>();
    private final Map<String, String> named = new HashMap<>(); // such as bos_token
    private int next;

    /**
     * @param vocabulary ids by token, from 0 to its size
     */
    SpecialTokens(Path folder, Map<String, Integer> vocabulary) {
        this.folder = folder;
        this.ids = new HashMap<>(vocabulary);
        this.next = vocabulary.size();
    }

    /** Adds one of the tokenizer's own file. */
    void add(String token, boolean special) {
        put(token, JSON.createObjectNode(), special);
    }

    /**
     * Adds those that the files name.
     *
     * @param defaults of the tokenizer's class by name, such as {@code bos_token}; left out where
     *     the vocabulary lacks them
     */
    void addNamed(Map<String, String> defaults) {
        JsonNode config = file("tokenizer_config.json");
        byId(config.path("added_tokens_decoder"), "tokenizer_config.json: added_tokens_decoder");
        Map<Integer, JsonNode> older = new TreeMap<>();
        JsonNode added = file("added_tokens.json");
        added.properties()
                .forEach(entry -> {
                    ObjectNode token = JSON.createObjectNode().put("content", entry.getKey());
                    older.put(entry.getValue().asInt(-1), token.put("special", false));
                });
        older.forEach((id, token) -> checked(id, token, "added_tokens.json"));
        for (JsonNode source : List.of(config, file("special_tokens_map.json"))) {
            for (Map.Entry<String, JsonNode> entry : source.properties()) {
                String name = entry.getKey();
                if (name.equals("additional_special_tokens")) {
                    entry.getValue().forEach(token -> put(content(token), token, true));
                } else if (name.endsWith("_token") && !named.containsKey(name)) {
                    JsonNode token = entry.getValue();
                    if (token.isString() || token.isObject()) {
                        named.put(name, content(token));
                        put(content(token), token, true);
                    }
                }
            }
        }
        defaults.forEach((name, token) -> {
            if (!named.containsKey(name) && ids.containsKey(token)) {
                named.put(name, token);
                add(token, true);
            }
        });
    }

    private JsonNode file(String name) {
        JsonNode json = TokenizerFiles.object(folder.resolve(name));
        return json == null ? JSON.createObjectNode() : json;
    }

    private void byId(JsonNode decoder, String where) {
        Map<Integer, JsonNode> sorted = new TreeMap<>();
        for (Map.Entry<String, JsonNode> entry : decoder.properties()) {
            try {
                sorted.put(Integer.parseInt(entry.getKey()), entry.getValue());
            } catch (NumberFormatException e) {
                throw new FormatException(
                        folder + ": " + where + ": " + entry.getKey() + " is no id", e);
            }
        }
        sorted.forEach((id, token) -> checked(id, token, where));
    }

    private void checked(int id, JsonNode token, String where) {
        String content = content(token);
        put(content, token, token.path("special").asBoolean(false));
        if (ids.getOrDefault(content, -1) != id) {
            throw FormatException.of(
                    "%s: %s gives %s the id %d, the vocabulary %d; fetch the tokenizer's files again",
                    folder, where, content, id, ids.get(content));
        }
    }

    private static String content(JsonNode token) {
        return token.isObject() ? token.path("content").asString("") : token.asString("");
    }

    private void put(String token, JsonNode flags, boolean special) {
        if (token.isEmpty()) {
            return;
        }
        ObjectNode there = tokens.get(token);
        if (there != null) {
            there.put("special", there.path("special").asBoolean() || special);
            return;
        }
        Integer id = ids.get(token);
        if (id == null) {
            id = next++;
            ids.put(token, id);
        }
        ObjectNode json = JSON.createObjectNode();
        json.put("id", id);
        json.put("content", token);
        for (String flag : List.of("single_word", "lstrip", "rstrip", "normalized")) {
            json.put(flag, flags.path(flag).asBoolean(false));
        }
        tokens.put(token, json.put("special", special));
    }

    /** {@code added_tokens} of {@code tokenizer.json}, by id. */
    ArrayNode json() {
        ArrayNode json = JSON.createArrayNode();
        Map<Integer, ObjectNode> sorted = new TreeMap<>();
        tokens.values().forEach(token -> sorted.put(token.path("id").intValue(), token));
        sorted.values().forEach(json::add);
        return json;
    }

    /** The token of a name such as {@code bos_token}, or null. */
    @Nullable String named(String name) {
        return named.get(name);
    }

    /** The id of a token; the tokenizer's files must know it. */
    int id(String token) {
        Integer id = ids.get(token);
        if (id == null) {
            throw FormatException.of(
                    "%s: the vocabulary lacks %s; fetch the tokenizer's files again",
                    folder, token);
        }
        return id;
    }

    /**
     * The ends of a text that {@code tokenizer_config.json} asks for.
     *
     * @param bos whether a text begins with BOS where it does not say
     * @return null in JSON where there are none
     */
    JsonNode ends(JsonNode config, boolean bos) {
        ObjectNode around =
                around(
                        config.path("add_bos_token").asBoolean(bos) ? named("bos_token") : null,
                        config.path("add_eos_token").asBoolean(false) ? named("eos_token") : null);
        return around == null ? JSON.nullNode() : around;
    }

    /**
     * What is put around a text: {@code TemplateProcessing}.
     *
     * @param before null for nothing
     * @param after null for nothing
     * @return null where nothing is put around it
     */
    @Nullable ObjectNode around(@Nullable String before, @Nullable String after) {
        if (before == null && after == null) {
            return null;
        }
        ObjectNode json = JSON.createObjectNode().put("type", "TemplateProcessing");
        ObjectNode special = JSON.createObjectNode();
        ArrayNode single = json.putArray("single");
        ArrayNode pair = json.putArray("pair");
        part(single, special, before, "A", 0, after);
        part(pair, special, before, "A", 0, after);
        part(pair, special, before, "B", 1, after);
        json.set("special_tokens", special);
        return json;
    }

    private void part(
            ArrayNode list,
            ObjectNode special,
            @Nullable String before,
            String text,
            int type,
            @Nullable String after) {
        token(list, special, before, type);
        list.addObject().putObject("Sequence").put("id", text).put("type_id", type);
        token(list, special, after, type);
    }

    private void token(ArrayNode list, ObjectNode special, @Nullable String token, int type) {
        if (token == null) {
            return;
        }
        list.addObject().putObject("SpecialToken").put("id", token).put("type_id", type);
        ObjectNode entry = special.putObject(token).put("id", token);
        entry.putArray("ids").add(id(token));
        entry.putArray("tokens").add(token);
    }
}
