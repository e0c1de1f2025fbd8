package org.qlora4j.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.tokenize.TokenBytes;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** What RFC 8259 and JSON Schema say is right and wrong, and texts written by masks alone. */
class JsonGrammarTest {
    private static final Path TINY = Path.of("src/test/resources/tiny-llama");
    private static final int END = 1 << 12;

    private static JsonGrammar grammar(String schema) {
        return JsonGrammar.of(JsonMapper.shared().readTree(schema));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "{}",
                "{\"a\": 1}",
                "{\"a\":[1,2.5e-3,-0,[],{}],\"b\":{\"c\":null}}",
                "{\n  \"a\": true,\n  \"b\": \"\\u00e9\\n\\\"\u00e9\u6f22\ud83d\ude00\"\n}",
            })
    void objects_areAccepted(String json) {
        assertThat(JsonMapper.shared().readTree(json).isObject()).isTrue();
        assertThat(JsonGrammar.anyObject().accepts(json)).isTrue();
        for (int end = 0; end < json.length(); end++) {
            assertThat(JsonGrammar.anyObject().accepts(json.substring(0, end))).isFalse();
        }
        assertThat(JsonGrammar.anyObject().accepts(json + "x")).isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "[]",
                "1",
                "{a: 1}",
                "{\"a\": 01}",
                "{\"a\": 1.}",
                "{\"a\": .5}",
                "{\"a\": +1}",
                "{\"a\": \"\\x\"}",
                "{\"a\": \"\\ud83d\"}",
                "{\"a\": \"\n\"}",
                "{\"a\": 1,}",
                "{\"a\" 1}",
                "{\"a\": 'b'}",
                "{\"a\": [1 2]}",
                "{\"a\": nul}",
            })
    void whatIsNoObject_isNot(String text) {
        assertThat(JsonGrammar.anyObject().accepts(text)).isFalse();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"type\": \"integer\"}|-12|true",
                "{\"type\": \"integer\"}|1.5|false",
                "{\"type\": \"number\"}|1.5E+10|true",
                "{\"type\": [\"string\", \"null\"]}|null|true",
                "{\"type\": [\"string\", \"null\"]}|1|false",
                "{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}|\"a\"|false",
                "{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}|\"\u00e9\u6f22\"|true",
                "{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}|\"abcd\"|false",
                "{\"enum\": [\"a\", 2, null]}|2|true",
                "{\"enum\": [\"a\", 2, null]}|\"b\"|false",
                "{\"const\": {\"x\": [1]}}|{\"x\":[1]}|true",
                "{\"type\": \"array\", \"items\": {\"type\": \"integer\"}}|[]|true",
                "{\"type\": \"array\", \"items\": {\"type\": \"integer\"}}|[1, 2]|true",
                "{\"type\": \"array\", \"items\": {\"type\": \"integer\"}}|[1, \"a\"]|false",
                "{\"type\": \"array\", \"minItems\": 2}|[1]|false",
                "{\"type\": \"array\", \"minItems\": 2}|[1, 2, 3]|true",
                "{\"type\": \"array\", \"maxItems\": 2}|[1, 2, 3]|false",
                "{\"type\": \"array\", \"minItems\": 2, \"maxItems\": 2}|[1, 2]|true",
                "{\"type\": \"array\", \"maxItems\": 0}|[]|true",
                "{\"properties\": {\"a\": {}, \"b\": {}}, \"required\": [\"b\"]}|{\"b\": 1}|true",
                "{\"properties\": {\"a\": {}, \"b\": {}}, \"required\": [\"b\"]}|{\"a\": 2, \"b\": 1}|true",
                "{\"properties\": {\"a\": {}, \"b\": {}}, \"required\": [\"b\"]}|{\"a\": 2}|false",
                "{\"properties\": {\"a\": {}}}|{}|true",
                "{\"properties\": {\"a\": {}}}|{\"z\": 1}|false",
                "{\"type\": \"object\", \"additionalProperties\": {\"type\": \"integer\"}}|{\"z\": 1}|true",
                "{\"type\": \"object\", \"additionalProperties\": {\"type\": \"integer\"}}|{\"z\": \"a\"}|false",
                "{\"type\": \"object\", \"additionalProperties\": false}|{}|true",
                "{\"anyOf\": [{\"type\": \"integer\"}, {\"type\": \"boolean\"}]}|true|true",
                "{\"allOf\": [{\"$ref\": \"#/$defs/n\"}], \"$defs\": {\"n\": {\"type\": \"null\"}}}|null|true",
            })
    void values_areJudgedAsTheSchemaSays(String schema, String json, boolean right) {
        assertThat(grammar(schema).accepts(json)).isEqualTo(right);
    }

    @Test
    void schemasThatHoldThemselves_areFollowed() {
        JsonGrammar tree =
                grammar(
                        """
                        {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
                          "name": {"type": "string"},
                          "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
                          "required": ["name"]}}}
                        """);
        assertThat(tree.accepts("{\"name\":\"a\",\"children\":[{\"name\":\"b\"}]}")).isTrue();
        assertThat(tree.accepts("{\"name\":\"a\",\"children\":[{}]}")).isFalse();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "{\"type\": \"string\", \"pattern\": \"a*\"}|the keyword pattern is not supported",
                "{\"type\": \"integer\", \"minimum\": 1}|the keyword minimum is not supported",
                "{\"type\": \"thing\"}|there is no type thing",
                "{\"$ref\": \"#/$defs/none\"}|leads nowhere",
                "{\"$ref\": \"other.json\"}|leads out of the schema",
                "{\"anyOf\": [{\"$ref\": \"#\"}]}|refers to itself",
                "{\"enum\": []}|must hold at least one",
                "{\"properties\": {}, \"required\": [\"a\"]}|required names [a]",
                "{\"type\": \"array\", \"minItems\": 3, \"maxItems\": 2}|minItems is above maxItems",
            })
    void schemasThatCannotBeKept_areRefused(String schema, String reason) {
        assertThatThrownBy(() -> grammar(schema))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(reason);
    }

    /** The mask alone decides: whatever is drawn from what it lets through is of the schema. */
    @Test
    void drawnTokens_makeJsonOfTheSchema() {
        JsonGrammar grammar =
                grammar(
                        """
                        {"type": "object", "properties": {
                          "kind": {"enum": ["red", "green"]},
                          "size": {"type": "integer"},
                          "names": {"type": "array", "minItems": 1, "maxItems": 3,
                                    "items": {"type": "string", "minLength": 1, "maxLength": 8}},
                          "note": {"type": ["string", "null"], "maxLength": 20}},
                         "required": ["kind", "size", "names"]}
                        """);
        try (Tokenizer tokenizer = Tokenizer.load(TINY)) {
            byte[][] bytes = TokenBytes.of(tokenizer);
            TokenVocabulary vocabulary = new TokenVocabulary(bytes);
            for (int seed = 0; seed < 40; seed++) {
                String text = drawn(vocabulary, grammar, bytes, new Random(seed));
                JsonNode json = JsonMapper.shared().readTree(text);
                assertThat(grammar.accepts(text)).as("seed %d", seed).isTrue();
                assertThat(json.get("kind").asString()).isIn("red", "green");
                assertThat(json.get("size").isIntegralNumber()).isTrue();
                assertThat(json.get("names").size()).isBetween(1, 3);
                for (JsonNode name : json.get("names")) {
                    String value = name.asString();
                    assertThat(value.codePointCount(0, value.length())).isBetween(1, 8);
                }
            }
        }
    }

    private static String drawn(
            TokenVocabulary vocabulary, JsonGrammar grammar, byte[][] bytes, Random random) {
        TokenMask mask = vocabulary.mask(grammar);
        StringBuilder latin1 = new StringBuilder();
        while (true) {
            float[] logits = new float[END + 1];
            mask.apply(logits, Set.of(END));
            int[] open = IntStream.rangeClosed(0, END).filter(id -> logits[id] == 0).toArray();
            assertThat(open).as("after %s", latin1).isNotEmpty();
            int id = open[random.nextInt(open.length)];
            if (id == END) {
                byte[] utf8 = latin1.toString().getBytes(StandardCharsets.ISO_8859_1);
                return new String(utf8, StandardCharsets.UTF_8);
            }
            latin1.append(new String(bytes[id], StandardCharsets.ISO_8859_1));
            mask.take(id);
        }
    }

    /** Ways double with each name: told at once, or followed once where both ways are one. */
    @Test
    @Timeout(20)
    void schemaOfDoublingWays_endsSoon() {
        StringBuilder same = new StringBuilder();
        for (int i = 0; i < 40; i++) {
            String next = "{\"$ref\": \"#/$defs/a%d\"}".formatted(i + 1);
            same.append("\"a%d\": {\"anyOf\": [%s, %s]}, ".formatted(i, next, next));
        }
        JsonGrammar one =
                grammar(
                        "{\"$defs\": {%s\"a40\": {\"type\": \"string\"}}, \"$ref\": \"#/$defs/a0\"}"
                                .formatted(same));
        assertThat(one.accepts("\"x\"")).isTrue();
        String many = "{\"type\": \"string\"}";
        for (int i = 0; i < 13; i++) {
            many = "{\"anyOf\": [%s, %s]}".formatted(many, many);
        }
        String tooMany = many;
        assertThatThrownBy(() -> grammar(tooMany))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("more than 4096 ways to go on at one place");
    }

    /** Lists in lists that may be of two kinds each: 2^20 meanings of as many brackets. */
    @Test
    @Timeout(20)
    void textOfManyMeanings_isFollowedInSomeOfThem() {
        String schema = "{\"type\": \"integer\"}";
        for (int i = 0; i < 12; i++) {
            schema =
                    "{\"anyOf\": [{\"type\": \"array\", \"items\": %s}, {\"type\": \"array\", \"items\": %s, \"maxItems\": 3}]}"
                            .formatted(schema, schema);
        }
        assertThat(grammar(schema).accepts("[".repeat(12) + "7" + "]".repeat(12))).isTrue();
    }

    /**
     * Ten lists within each other, of two kinds of items each, would take 2^10 times 900 copies.
     */
    @Test
    void schemaOfManyCopies_isRefusedWhereItIsTooMuch() {
        String deep = "{\"type\": \"boolean\"}";
        for (int i = 0; i < 10; i++) {
            String list = "{\"type\": \"array\", \"maxItems\": %d, \"items\": %s}";
            deep =
                    "{\"anyOf\": [%s, %s]}"
                            .formatted(list.formatted(900, deep), list.formatted(899, deep));
        }
        assertRefused(
                "{\"properties\": {\"much\": %s}}".formatted(deep),
                "#/properties/much/anyOf/0/items");

        String types =
                "{\"type\": [\"array\", \"object\"], \"items\": %1$s, \"additionalProperties\": %1$s}";
        String twice = "{\"type\": \"null\"}";
        for (int i = 0; i < 10; i++) {
            twice = types.formatted(twice);
        }
        String doubled = "{\"type\": [%s], \"items\": %s}";
        String again = "{\"type\": \"null\"}";
        for (int i = 0; i < 20; i++) {
            again = doubled.formatted("\"array\", \"array\"", again);
        }
        assertRefused(again, "#/items/items");
        assertThat(grammar(twice).accepts("[[{}]]")).isTrue();

        String wide =
                IntStream.range(0, 20)
                        .mapToObj(i -> "\"o%d\": {\"properties\": {%s}}".formatted(i, names(200)))
                        .collect(Collectors.joining(", "));
        assertRefused("{\"properties\": {%s}}".formatted(wide), "#/properties/o");
    }

    private static void assertRefused(String schema, String where) {
        assertThatThrownBy(() -> grammar(schema))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining(where)
                .hasMessageContaining("takes the schema above 200000 rules")
                .hasMessageContaining("lower maxItems");
    }

    private static String names(int count) {
        return IntStream.range(0, count)
                .mapToObj(i -> "\"p%d\": {\"type\": \"integer\"}".formatted(i))
                .collect(Collectors.joining(", "));
    }

    @Test
    void schemaOfManyLevels_isRefused() {
        String chain =
                IntStream.range(0, 20_000)
                        .mapToObj(i -> "\"d%d\": {\"$ref\": \"#/$defs/d%d\"}".formatted(i, i + 1))
                        .collect(Collectors.joining(", "));
        assertThatThrownBy(() ->
                        grammar(
                                "{\"$ref\": \"#/$defs/d0\", \"$defs\": {%s, \"d20000\": {}}}"
                                        .formatted(chain)))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("lies more than 250 schemas deep");
    }

    @Test
    void ordinarySchemas_stayFarBelowTheBounds() {
        String deep =
                "{\"type\": \"array\", \"maxItems\": 50, \"items\": {\"properties\": {%s}}}"
                        .formatted(names(100));
        for (int i = 0; i < 8; i++) {
            deep =
                    "{\"properties\": {\"in\": %s, \"list\": {\"type\": \"array\", \"maxItems\": 50}}}"
                            .formatted(deep);
        }
        String text = "[{\"p0\":1,\"p99\":2}]";
        for (int i = 0; i < 8; i++) {
            text = "{\"in\":%s,\"list\":[1]}".formatted(text);
        }
        assertThat(grammar(deep).accepts(text)).isTrue();
        assertThat(grammar(deep).accepts(text.replace("p99", "p100"))).isFalse();
    }
}
