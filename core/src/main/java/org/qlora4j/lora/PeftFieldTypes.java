package org.qlora4j.lora;

import java.nio.file.Path;
import java.util.Map;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.JsonNumber;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Shown;
import tools.jackson.databind.JsonNode;

/** JSON types of the fields that {@link PeftConfigFile} reads; null and absence always pass. */
final class PeftFieldTypes {
    /** What a value must be, in words and as a test. */
    private record Rule(String words, Predicate<JsonNode> holds) {}

    private static final Rule FLAG = new Rule("true or false", JsonNode::isBoolean);
    private static final Rule COUNT =
            new Rule("a whole number", n -> n.isIntegralNumber() && n.canConvertToInt());
    private static final Rule NUMBER =
            new Rule("a number that fits 32 bits", n -> n.isNumber() && JsonNumber.isFloat(n));
    private static final Rule NAMES =
            new Rule(
                    "a text or a list of texts",
                    n ->
                            n.isString()
                                    || (n.isArray()
                                            && n.valueStream().allMatch(JsonNode::isString)));
    private static final Rule LAYERS =
            new Rule(
                    "a whole number or a list of them",
                    n ->
                            COUNT.holds.test(n)
                                    || (n.isArray() && n.valueStream().allMatch(COUNT.holds)));

    private static final Map<String, Rule> RULES =
            Map.ofEntries(
                    Map.entry("r", COUNT),
                    Map.entry("lora_alpha", NUMBER),
                    Map.entry("lora_dropout", NUMBER),
                    Map.entry("target_modules", NAMES),
                    Map.entry("exclude_modules", NAMES),
                    Map.entry("modules_to_save", NAMES),
                    Map.entry("use_rslora", FLAG),
                    Map.entry("use_dora", FLAG),
                    Map.entry("ensure_weight_tying", FLAG),
                    Map.entry("rank_pattern", ofEach("whole numbers", COUNT)),
                    Map.entry("alpha_pattern", ofEach("numbers", NUMBER)),
                    Map.entry("layers_to_transform", LAYERS),
                    Map.entry(
                            "init_lora_weights",
                            new Rule("true, false or a text", n -> n.isBoolean() || n.isString())));

    private PeftFieldTypes() {}

    private static Rule ofEach(String words, Rule rule) {
        return new Rule(
                "an object of " + words, n -> n.isObject() && n.valueStream().allMatch(rule.holds));
    }

    /**
     * Checks each field that is read.
     *
     * @throws FormatException with file, key, rule and value
     */
    static void check(Path file, JsonNode json) {
        RULES.forEach((key, rule) -> {
            @Nullable JsonNode value = json.get(key);
            if (value != null && !value.isNull() && !rule.holds.test(value)) {
                throw FormatException.of(
                        "%s: %s must be %s, got %s", file, key, rule.words, Shown.of(value));
            }
        });
    }
}
