package org.qlora4j.tokenize;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.template.TemplateText;
import tools.jackson.core.JacksonException;
import tools.jackson.core.json.JsonReadFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * What the small files beside {@code tokenizer.json} say: special tokens and chat templates.
 *
 * @param tokens special tokens by name, such as {@code bos_token}; a name that a file sets to null
 *     is missing, and is in {@code denied}
 * @param denied names that a file says the tokenizer does not have
 * @param ids ids of tokens that only {@code generation_config.json} or {@code config.json} names
 * @param extra other tokens that templates may print: a list {@code additional_special_tokens}, for
 *     example
 * @param templates chat templates by name; {@code default} is the usual one
 */
record TokenizerFiles(
        Map<String, String> tokens,
        Set<String> denied,
        Map<String, Integer> ids,
        Map<String, Object> extra,
        Map<String, TemplateText> templates) {
    private static final JsonMapper JSON =
            JsonMapper.builder()
                    .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS) // as Python writes them
                    .build();
    private static final List<String> NAMED_BY_ID = List.of("bos", "eos", "pad", "unk");

    /** Reads a checkpoint folder; every file may be missing. */
    static TokenizerFiles read(Path folder) {
        TokenizerFiles files =
                new TokenizerFiles(
                        new LinkedHashMap<>(),
                        new HashSet<>(),
                        new LinkedHashMap<>(),
                        new LinkedHashMap<>(),
                        new LinkedHashMap<>());
        for (String name : List.of("tokenizer_config.json", "special_tokens_map.json")) {
            Path file = folder.resolve(name);
            JsonNode config = object(file);
            if (config != null) {
                files.readTokens(config, file);
                files.readTemplates(config.get("chat_template"), file);
            }
        }
        for (String name : List.of("generation_config.json", "config.json")) {
            Path file = folder.resolve(name);
            JsonNode config = object(file);
            if (config != null) {
                files.readIds(config, file);
            }
        }
        files.readTemplateFiles(folder);
        return files;
    }

    /** A file's JSON object, or null if there is no file. */
    static @Nullable JsonNode object(Path file) {
        if (!Files.isRegularFile(file)) {
            return null;
        }
        try {
            JsonNode node = JSON.readTree(file.toFile());
            if (!node.isObject()) {
                throw new FormatException(file + " must hold a JSON object, but does not");
            }
            return node;
        } catch (JacksonException e) {
            throw malformed(file, e);
        }
    }

    static FormatException malformed(Path file, JacksonException e) {
        var place = e.getLocation();
        String where =
                place == null || place.getLineNr() < 1
                        ? ""
                        : ":" + place.getLineNr() + ":" + place.getColumnNr();
        return new FormatException(file + where + ": not valid JSON; fetch the file again", e);
    }

    private void readTokens(JsonNode config, Path file) {
        for (Map.Entry<String, JsonNode> entry : config.properties()) {
            String name = entry.getKey();
            JsonNode value = entry.getValue();
            boolean taken = tokens.containsKey(name) || denied.contains(name);
            if (name.endsWith("_token") && !taken && !value.isBoolean()) {
                if (value.isNull()) {
                    denied.add(name);
                } else {
                    tokens.put(name, content(value, file, name));
                }
            } else if (name.equals("additional_special_tokens") && value.isArray()) {
                List<String> all =
                        value.valueStream().map(token -> content(token, file, name)).toList();
                extra.putIfAbsent(name, all);
            } else if (name.equals("extra_special_tokens") && value.isObject()) {
                value.properties()
                        .forEach(token ->
                                extra.put(token.getKey(), content(token.getValue(), file, name)));
            }
        }
    }

    /** A token as written: a text, or an object that holds it as {@code content}. */
    private static String content(JsonNode token, Path file, String name) {
        JsonNode content = token.isObject() ? token.get("content") : token;
        if (content == null || !content.isString()) {
            throw new FormatException(
                    file
                            + ": "
                            + name
                            + " must be a text or an object with the text as \"content\", got "
                            + token);
        }
        return content.stringValue();
    }

    private void readIds(JsonNode config, Path file) {
        for (String name : NAMED_BY_ID) {
            JsonNode id = config.get(name + "_token_id");
            JsonNode first = id != null && id.isArray() ? id.get(0) : id; // eos may list several
            if (first == null || first.isNull()) {
                continue;
            }
            if (!first.isInt()) {
                throw new FormatException(
                        file + ": " + name + "_token_id must be an integer, got " + id);
            }
            ids.putIfAbsent(name + "_token", first.intValue());
        }
    }

    private void readTemplates(@Nullable JsonNode node, Path file) {
        String origin = file + " (chat_template)";
        if (node == null || node.isNull()) {
            return;
        }
        if (node.isString()) {
            templates.putIfAbsent("default", new TemplateText(node.stringValue(), origin));
            return;
        }
        for (JsonNode named : node) {
            JsonNode name = named.get("name");
            JsonNode text = named.get("template");
            if (name == null || text == null || !name.isString() || !text.isString()) {
                throw new FormatException(
                        file
                                + ": chat_template must be a text or a list of objects with \"name\" and \"template\"");
            }
            String from = file + " (chat_template " + name.stringValue() + ")";
            templates.putIfAbsent(name.stringValue(), new TemplateText(text.stringValue(), from));
        }
    }

    /** Files win over what {@code tokenizer_config.json} holds. */
    private void readTemplateFiles(Path folder) {
        Path main = folder.resolve("chat_template.jinja");
        if (Files.isRegularFile(main)) {
            templates.clear();
            templates.put("default", new TemplateText(text(main), main.toString()));
        }
        Path tools = folder.resolve("additional_chat_templates").resolve("tool_use.jinja");
        if (Files.isRegularFile(tools)) {
            templates.put("tool_use", new TemplateText(text(tools), tools.toString()));
        }
    }

    /** A small text file. */
    private static String text(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException e) {
            throw new FormatException(file + " cannot be read as UTF-8 text: " + e.getMessage(), e);
        }
    }

    /** Variables that a chat template sees. */
    Map<String, Object> templateTokens() {
        Map<String, Object> variables = new LinkedHashMap<>(tokens);
        variables.putAll(extra);
        return variables;
    }

    /**
     * The chat template of the folder: {@code chat_template.jinja}, or else {@code chat_template}
     * in {@code tokenizer_config.json}. It knows the folder's special tokens.
     *
     * @return empty if the folder has none
     * @throws FormatException with line and column if the template breaks the grammar
     */
    Optional<ChatTemplate> chatTemplate() {
        return Optional.ofNullable(templates.get("default"))
                .map(main -> ChatTemplate.of(main, templates.get("tool_use")))
                .map(template -> template.withTokens(templateTokens()));
    }

    /** The id of a token that only a config file names. */
    OptionalInt idOf(String name) {
        Integer id = tokens.containsKey(name) || denied.contains(name) ? null : ids.get(name);
        return id == null ? OptionalInt.empty() : OptionalInt.of(id);
    }
}
