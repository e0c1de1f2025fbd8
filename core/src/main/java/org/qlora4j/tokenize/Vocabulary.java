package org.qlora4j.tokenize;

import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.json.JsonMapper;

/**
 * Tokens and their ids as {@code tokenizer.json} lists them: {@code model.vocab}, an object for BPE
 * and WordPiece or a list of pairs for Unigram, and {@code added_tokens}, which win. Read as a
 * stream, since such files have tens of MB.
 */
final class Vocabulary {
    private static final JsonMapper JSON = JsonMapper.builder().build();

    private final Map<String, Integer> ids = new HashMap<>();
    private final Map<Integer, String> tokens = new HashMap<>();
    private final Set<String> control = new TreeSet<>();

    private Vocabulary() {}

    /**
     * Reads the text of a {@code tokenizer.json}.
     *
     * @param file it came from, for messages
     * @throws FormatException if it is not JSON, or lists no token
     */
    static Vocabulary read(String json, Path file) {
        try (JsonParser parser = JSON.createParser(json)) {
            return read(parser, file);
        } catch (JacksonException e) {
            throw TokenizerFiles.malformed(file, e);
        }
    }

    private static Vocabulary read(JsonParser parser, Path file) {
        Vocabulary vocabulary = new Vocabulary();
        Map<String, Integer> added = new HashMap<>();
        parser.nextToken();
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
            String name = parser.currentName();
            parser.nextToken();
            switch (name) {
                case "added_tokens" -> vocabulary.added(parser, added);
                case "model" -> vocabulary.model(parser);
                default -> parser.skipChildren();
            }
        }
        added.forEach(vocabulary::put);
        if (vocabulary.ids.isEmpty()) {
            throw new FormatException(
                    file + " lists no tokens (model.vocab and added_tokens); is it a tokenizer?");
        }
        return vocabulary;
    }

    private void put(String token, int id) {
        ids.put(token, id);
        tokens.put(id, token);
    }

    private void added(JsonParser parser, Map<String, Integer> added) {
        while (parser.nextToken() == JsonToken.START_OBJECT) {
            String content = "";
            int id = -1;
            boolean special = false;
            while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
                String name = parser.currentName();
                parser.nextToken();
                switch (name) {
                    case "content" -> content = parser.getString();
                    case "id" -> id = parser.getIntValue();
                    case "special" -> special = parser.currentToken() == JsonToken.VALUE_TRUE;
                    default -> parser.skipChildren();
                }
            }
            if (id >= 0) {
                added.put(content, id);
                if (!content.isEmpty() && (special || content.startsWith("<|"))) {
                    control.add(content);
                }
            }
        }
    }

    private void model(JsonParser parser) {
        if (parser.currentToken() != JsonToken.START_OBJECT) {
            parser.skipChildren();
            return;
        }
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
            boolean vocab = parser.currentName().equals("vocab");
            JsonToken value = parser.nextToken();
            if (vocab && value == JsonToken.START_OBJECT) {
                while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
                    String token = parser.currentName();
                    parser.nextToken();
                    put(token, parser.getIntValue());
                }
            } else if (vocab && value == JsonToken.START_ARRAY) {
                for (int id = 0; parser.nextToken() == JsonToken.START_ARRAY; id++) {
                    parser.nextToken();
                    put(parser.getString(), id);
                    while (parser.nextToken() != JsonToken.END_ARRAY) {
                        parser.skipChildren(); // the piece's score
                    }
                }
            } else {
                parser.skipChildren();
            }
        }
    }

    /** The added tokens that steer a model instead of saying something. */
    Set<String> control() {
        return Collections.unmodifiableSet(control);
    }

    /** The largest id, -1 if there is none. */
    int largestId() {
        return tokens.keySet().stream().mapToInt(Integer::intValue).max().orElse(-1);
    }

    /** Every token as it is written, added ones among them. */
    Set<String> tokens() {
        return Collections.unmodifiableSet(ids.keySet());
    }

    /** UTF-16 units of a token as it is written, 0 for an id that none has. */
    int length(int id) {
        String token = tokens.get(id);
        return token == null ? 0 : token.length();
    }

    int size() {
        return ids.size();
    }

    @Nullable Integer id(String token) {
        return ids.get(token);
    }

    @Nullable String token(int id) {
        return tokens.get(id);
    }
}
