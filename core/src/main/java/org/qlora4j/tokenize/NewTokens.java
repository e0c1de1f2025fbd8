package org.qlora4j.tokenize;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A tokenizer with tokens added behind its own, as transformers' {@code tokenizer.add_tokens} adds
 * them. They are found in a text before it is split, and printed in answers, unlike special ones.
 */
public final class NewTokens {
    private static final JsonMapper JSON = JsonMapper.builder().build();
    private static final JsonMapper PRETTY =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    private NewTokens() {}

    /**
     * The text of a {@code tokenizer.json} with them.
     *
     * @throws ConfigException if it has one of them already
     */
    static String added(TokenizerSource source, List<String> tokens) {
        Path file = source.file();
        Vocabulary vocabulary = source.vocabulary();
        ObjectNode tokenizer = source.object();
        ArrayNode list =
                tokenizer.get("added_tokens") instanceof ArrayNode there
                        ? there
                        : tokenizer.putArray("added_tokens");
        int id = vocabulary.largestId();
        for (String token : tokens) {
            Integer known = vocabulary.id(token);
            if (known != null) {
                throw ConfigException.of(
                        "model.new_tokens names %s, which %s has already, with id %d; leave it out",
                        token, file, known);
            }
            list.add(entry(token).put("id", ++id));
        }
        return JSON.writeValueAsString(tokenizer) + "\n";
    }

    private static ObjectNode entry(String token) {
        return JSON.createObjectNode()
                .put("content", token)
                .put("single_word", false)
                .put("lstrip", false)
                .put("rstrip", false)
                .put("normalized", true)
                .put("special", false);
    }

    /**
     * Writes the files of the tokenizer with them into an existing folder, from which {@link
     * Tokenizer#load} and transformers read it.
     *
     * @param source folder of the tokenizer without them
     * @param withTemplate whether its chat template goes along
     */
    public static void write(Path source, List<String> tokens, Path target, boolean withTemplate) {
        try {
            TokenizerSource whole = TokenizerSource.of(source);
            Files.writeString(target.resolve(TokenizerSource.NAME), added(whole, tokens));
            String name = "tokenizer_config.json";
            if (TokenizerFiles.object(source.resolve(name)) instanceof ObjectNode config) {
                if (config.get("added_tokens_decoder") instanceof ObjectNode byId) {
                    int id = whole.vocabulary().largestId();
                    for (String token : tokens) {
                        byId.set(Integer.toString(++id), entry(token));
                    }
                }
                Files.writeString(target.resolve(name), PRETTY.writeValueAsString(config) + "\n");
            }
            copy(source, target, "special_tokens_map.json");
            if (withTemplate) {
                copy(source, target, "chat_template.jinja");
            }
        } catch (IOException e) {
            throw new DeviceException(target + " cannot be written: " + e, e);
        }
    }

    private static void copy(Path source, Path target, String name) throws IOException {
        if (Files.isRegularFile(source.resolve(name))) {
            Files.copy(source.resolve(name), target.resolve(name));
        }
    }
}
