package org.qlora4j.config;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.core.TokenStreamLocation;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.dataformat.yaml.YAMLParser;

/**
 * A YAML document as a tree that knows where each of its keys stands; Jackson's own binding reports
 * no place for a key it does not know (Jackson 3.2).
 *
 * @param root the document; null where it is empty or cannot be parsed
 * @param places {@code line:column} of each key, from 1, by its path, e.g. {@code lora.r}
 * @param problems duplicate keys, aliases, syntax errors: each one line that begins with its place
 */
record LocatedYaml(@Nullable JsonNode root, Map<String, String> places, List<String> problems) {
    private static final Pattern NEW_LINES = Pattern.compile("\\s*\\R\\s*");

    /** Never throws for the text's sake: what is wrong with it is in {@link #problems}. */
    static LocatedYaml parse(String text) {
        var reader = new Reader();
        JsonNode root = null;
        try (JsonParser parser = ConfigMapper.YAML.createParser(text)) {
            JsonToken first = parser.nextToken();
            if (first != null) {
                root = reader.value(parser, first, "");
                if (parser.nextToken() != null) {
                    reader.problems.add(place(parser) + ": a second document begins; keep one");
                }
            }
        } catch (JacksonException e) {
            reader.problems.add(syntaxError(e));
            root = null;
        }
        return new LocatedYaml(root, reader.places, reader.problems);
    }

    private static String place(JsonParser parser) {
        TokenStreamLocation place = parser.currentTokenLocation();
        return place.getLineNr() + ":" + place.getColumnNr();
    }

    private static String syntaxError(JacksonException e) {
        for (Throwable cause = e.getCause(); cause != null; cause = cause.getCause()) {
            if (cause instanceof MarkedYamlEngineException yaml
                    && yaml.getProblemMark().isPresent()) {
                Mark mark = yaml.getProblemMark().get();
                return "%d:%d: not valid YAML: %s"
                        .formatted(mark.getLine() + 1, mark.getColumn() + 1, yaml.getProblem());
            }
        }
        String reason = NEW_LINES.matcher(e.getOriginalMessage()).replaceAll(" ");
        TokenStreamLocation place = e.getLocation();
        return "%d:%d: not valid YAML: %s"
                .formatted(
                        place == null ? 1 : place.getLineNr(),
                        place == null ? 1 : place.getColumnNr(),
                        reason);
    }

    /** One walk over the tokens. */
    private static final class Reader {
        /** A YAML 1.2 whole number that Java does not read as such: 0o17, 0x1F. */
        private static final Pattern BASED = Pattern.compile("([-+]?)0([ox])([0-9a-fA-F]+)");

        private final Map<String, String> places = new HashMap<>();
        private final List<String> problems = new ArrayList<>();
        private final JsonNodeFactory nodes = JsonNodeFactory.instance;

        private JsonNode value(JsonParser parser, JsonToken token, String path) {
            if (parser instanceof YAMLParser yaml && yaml.isCurrentAlias()) {
                problems.add(
                        place(parser)
                                + ": aliases (*"
                                + parser.getString()
                                + ") are not read; write the value out");
            }
            return switch (token) {
                case START_OBJECT -> object(parser, path);
                case START_ARRAY -> array(parser, path);
                case VALUE_NUMBER_INT -> wholeNumber(parser);
                case VALUE_NUMBER_FLOAT -> nodes.numberNode(parser.getDoubleValue());
                case VALUE_TRUE -> nodes.booleanNode(true);
                case VALUE_FALSE -> nodes.booleanNode(false);
                case VALUE_NULL -> nodes.nullNode();
                default -> nodes.stringNode(parser.getString());
            };
        }

        private JsonNode object(JsonParser parser, String path) {
            ObjectNode object = nodes.objectNode();
            while (parser.nextToken() == JsonToken.PROPERTY_NAME) {
                String name = parser.currentName();
                String key = path.isEmpty() ? name : path + "." + name;
                String place = place(parser);
                String earlier = places.putIfAbsent(key, place);
                if (earlier != null) {
                    problems.add(
                            "%s: %s stands a second time (first at %s); keep one"
                                    .formatted(place, key, earlier));
                }
                object.set(name, value(parser, parser.nextToken(), key));
            }
            return object;
        }

        private JsonNode array(JsonParser parser, String path) {
            ArrayNode array = nodes.arrayNode();
            int index = 0;
            for (JsonToken token = parser.nextToken();
                    token != JsonToken.END_ARRAY;
                    token = parser.nextToken()) {
                array.add(value(parser, token, path + "." + index++));
            }
            return array;
        }

        private JsonNode wholeNumber(JsonParser parser) {
            Matcher based = BASED.matcher(parser.getString());
            if (based.matches()) {
                int radix = based.group(2).equals("x") ? 16 : 8;
                return nodes.numberNode(
                        new java.math.BigInteger(based.group(1) + based.group(3), radix));
            }
            return nodes.numberNode(parser.getBigIntegerValue());
        }
    }
}
