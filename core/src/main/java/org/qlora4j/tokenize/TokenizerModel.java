package org.qlora4j.tokenize;

import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * What of a {@code tokenizer.json}'s {@code model} decides how much work a text is, and what of it
 * Rust takes for granted. Read as a stream, since vocabularies have tens of MB.
 */
final class TokenizerModel {
    /** Characters of a word that WordPiece looks at; it takes the square of them. */
    private static final int MAX_WORD = 1000;

    /** Ids, with room for any vocabulary there is. */
    static final int MAX_ID = 1 << 26;

    /** Bytes that the search for pieces may copy on one text: some seconds. */
    private static final double MAX_WORK = 4e10;

    private final String where;
    private @Nullable String type;
    private @Nullable String prefix;
    private String suffix = "";
    private long wordChars = 0;
    private int longestPiece = 1;
    private boolean isEmpty = true;
    private boolean spellsBytes = false;

    private TokenizerModel(String where) {
        this.where = where;
    }

    /** Reads the model that the parser stands at; behind it, the parser stands at its end. */
    static TokenizerModel read(JsonParser parser, String where) {
        TokenizerModel model = new TokenizerModel(where);
        model.read(parser);
        return model;
    }

    private void read(JsonParser parser) {
        if (parser.currentToken() != JsonToken.START_OBJECT) {
            throw wrong("model", "an object", parser);
        }
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
            String name = parser.currentName();
            parser.nextToken();
            switch (name) {
                case "type" -> type = text(parser, name);
                case "continuing_subword_prefix" -> prefix = text(parser, name);
                case "end_of_word_suffix" -> suffix = or(text(parser, name), "");
                case "max_input_chars_per_word" -> wordChars = number(parser, name);
                case "byte_fallback" -> spellsBytes = parser.currentToken() == JsonToken.VALUE_TRUE;
                case "vocab" -> vocabulary(parser);
                default -> parser.skipChildren();
            }
        }
        check();
    }

    private static String or(@Nullable String text, String otherwise) {
        return text == null ? otherwise : text;
    }

    private void vocabulary(JsonParser parser) {
        if (parser.currentToken() == JsonToken.START_OBJECT) {
            while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
                parser.nextToken();
                if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT || !inRange(parser)) {
                    throw wrong("an id of model.vocab", "an integer from 0 to " + MAX_ID, parser);
                }
                isEmpty = false;
            }
        } else if (parser.currentToken() == JsonToken.START_ARRAY) {
            while (parser.nextToken() != JsonToken.END_ARRAY) {
                piece(parser);
                isEmpty = false;
            }
        } else {
            throw wrong("model.vocab", "an object or a list", parser);
        }
    }

    private void piece(JsonParser parser) {
        String rule = "a list of a text and a number";
        if (parser.currentToken() != JsonToken.START_ARRAY) {
            throw wrong("an entry of model.vocab", rule, parser);
        }
        if (parser.nextToken() != JsonToken.VALUE_STRING) {
            throw wrong("an entry of model.vocab", rule, parser);
        }
        longestPiece = Math.max(longestPiece, utf8(parser.getString()));
        if (!parser.nextToken().isNumeric() || parser.nextToken() != JsonToken.END_ARRAY) {
            throw wrong("an entry of model.vocab", rule, parser);
        }
    }

    static boolean inRange(JsonParser parser) {
        boolean isSmall =
                parser.getNumberType() == JsonParser.NumberType.INT
                        || parser.getNumberType() == JsonParser.NumberType.LONG;
        return isSmall && parser.getLongValue() >= 0 && parser.getLongValue() <= MAX_ID;
    }

    private @Nullable String text(JsonParser parser, String name) {
        return switch (parser.currentToken()) {
            case VALUE_NULL -> null;
            case VALUE_STRING -> parser.getString();
            default -> throw wrong("model." + name, "a text or null", parser);
        };
    }

    private long number(JsonParser parser, String name) {
        if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT || !inRange(parser)) {
            throw wrong("model." + name, "an integer from 0 to " + MAX_ID, parser);
        }
        return parser.getLongValue();
    }

    private FormatException wrong(String key, String rule, JsonParser parser) {
        return FormatException.of("%s: %s must be %s, got %s", where, key, rule, found(parser));
    }

    /** A value as messages name it. */
    static String found(JsonParser parser) {
        return switch (parser.currentToken()) {
            case START_OBJECT -> "an object";
            case START_ARRAY -> "a list";
            case VALUE_NULL -> "null";
            case VALUE_STRING -> "text";
            case VALUE_TRUE -> "true";
            case VALUE_FALSE -> "false";
            case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> "the number " + parser.getString();
            default -> "the end of it";
        };
    }

    private void check() {
        if (wordChars > MAX_WORD) {
            throw FormatException.of(
                    "%s: model.max_input_chars_per_word is %d; up to %d are searched",
                    where, wordChars, MAX_WORD);
        }
        if (suffix.length() > 100 || (prefix != null && prefix.length() > 100)) {
            throw FormatException.of(
                    "%s: model.continuing_subword_prefix and end_of_word_suffix must be short, got %d and %d characters",
                    where, prefix == null ? 0 : prefix.length(), suffix.length());
        }
    }

    /** Whether the merges begin with a prefix that each right side must have. */
    boolean hasPrefix() {
        return prefix != null && !prefix.isEmpty() && !"WordPiece".equals(type);
    }

    /** Whether a text's words are merged, not searched for the pieces of a whole. */
    boolean isMerging() {
        return "BPE".equals(type) || type == null;
    }

    /** Whether there are tokens. */
    boolean isEmpty() {
        return isEmpty;
    }

    /** Whether a character without a token becomes a token a byte, such as {@code <0x41>}. */
    boolean spellsBytes() {
        return spellsBytes;
    }

    /** UTF-16 units that the model takes at once within some seconds. */
    int maxChars() {
        double each = 1 + Math.max((double) longestPiece * longestPiece, wordChars * wordChars);
        return (int) Math.min(TokenizerLimits.MAX_AT_ONCE, MAX_WORK / each);
    }

    /** Tokens that one character may become where each is marked. */
    int marks() {
        return 1 + (prefix == null ? 0 : utf8(prefix)) + utf8(suffix);
    }

    /**
     * Reads the merges, whose right sides lose the prefix by its length alone.
     *
     * @param parser at the model's first token
     */
    void checkMerges(JsonParser parser) {
        int cut = prefix == null ? 0 : utf8(prefix);
        while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
            boolean merges = parser.currentName().equals("merges");
            parser.nextToken();
            if (!merges || parser.currentToken() != JsonToken.START_ARRAY) {
                parser.skipChildren();
                continue;
            }
            while (parser.nextToken() != JsonToken.END_ARRAY) {
                String right = "";
                if (parser.currentToken() == JsonToken.START_ARRAY) {
                    while (parser.nextToken() != JsonToken.END_ARRAY) {
                        right = parser.getString();
                        parser.skipChildren();
                    }
                } else {
                    right = parser.getString();
                    right = right.substring(right.indexOf(' ') + 1);
                    parser.skipChildren();
                }
                byte[] bytes = right.getBytes(StandardCharsets.UTF_8);
                if (bytes.length < cut || (bytes.length > cut && (bytes[cut] & 0xC0) == 0x80)) {
                    throw FormatException.of(
                            "%s: a merge of \"%s\" lacks model.continuing_subword_prefix \"%s\"",
                            where, right, prefix);
                }
            }
        }
    }

    private static int utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8).length;
    }
}
