package org.qlora4j.grammar;

import static org.qlora4j.grammar.JsonGrammar.literal;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.grammar.Goal.Rule;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * JSON Schema to rules. Kept: {@code type, properties, required, additionalProperties, items,
 * minItems, maxItems, minLength, maxLength, enum, const, anyOf, $ref} within the document, {@code
 * allOf} of one, and {@code oneOf} as if it were anyOf. Notes such as {@code title} and {@code
 * format} bind nothing. A schema with another keyword is refused, since its rule would be broken.
 */
final class SchemaReader {
    private static final Set<String> KEPT =
            Set.of(
                    "type",
                    "properties",
                    "required",
                    "additionalProperties",
                    "items",
                    "minItems",
                    "maxItems",
                    "minLength",
                    "maxLength",
                    "enum",
                    "const",
                    "anyOf",
                    "oneOf",
                    "allOf",
                    "$ref");
    private static final Set<String> NOTES =
            Set.of(
                    "$schema",
                    "$id",
                    "$comment",
                    "$defs",
                    "definitions",
                    "title",
                    "description",
                    "default",
                    "examples",
                    "format",
                    "deprecated",
                    "readOnly",
                    "writeOnly",
                    "discriminator");
    private static final int MOST_ITEMS = 1000;
    private static final int MOST_PROPERTIES = 200;

    /** What a text may go on with at one place; each is tried at each byte of each token. */
    private static final int MOST_WAYS = 4096;

    /** Alternatives of all rules together, some 100 bytes each. */
    private static final int MOST_RULES = 200_000;

    /** Schemas within each other, references among them. */
    private static final int MOST_DEPTH = 250;

    /** Letters of a path in a message. */
    private static final int SHOWN_PATH = 200;

    private final JsonNode document;
    private final FreeJson free;
    private final Map<String, Rule> references = new HashMap<>();
    private final Deque<String> path = new ArrayDeque<>(); // of the schema that is read
    private long rules;

    /**
     * @param blanks as in {@link FreeJson}
     */
    SchemaReader(JsonNode document, int blanks) {
        this.document = document;
        this.free = new FreeJson(blanks);
    }

    /**
     * The rule of the whole document.
     *
     * @throws ConfigException if a keyword could not be kept
     */
    Goal root() {
        Rule root = reference("#");
        Set<Rule> sound = new HashSet<>();
        references.forEach((name, rule) -> requireProgress(name, rule, new HashSet<>(), sound));
        requireFew(root);
        return root;
    }

    private Rule reference(String pointer) {
        Rule known = references.get(pointer);
        if (known != null) {
            return known;
        }
        if (!pointer.startsWith("#")) {
            throw refused("$ref " + pointer + " leads out of the schema");
        }
        JsonNode target;
        try {
            target = document.at(pointer.substring(1));
        } catch (JacksonException | IllegalArgumentException e) {
            throw refused("$ref " + pointer + " is no pointer");
        }
        if (target.isMissingNode()) {
            throw refused("$ref " + pointer + " leads nowhere");
        }
        Rule rule = new Rule();
        references.put(pointer, rule);
        rule.or(at(pointer, target));
        return rule;
    }

    /** Refuses rules that hold themselves before anything is written. */
    private static void requireProgress(String name, Rule rule, Set<Rule> within, Set<Rule> sound) {
        if (sound.contains(rule)) {
            return;
        }
        if (!within.add(rule)) {
            throw refused("$ref " + name + " refers to itself and nothing else");
        }
        for (List<Goal> sequence : rule.alternatives) {
            if (sequence.getFirst() instanceof Rule first) {
                requireProgress(name, first, within, sound);
            }
        }
        within.remove(rule);
        sound.add(rule);
    }

    /** Refuses rules that would be followed in too many ways at once. */
    private static void requireFew(Rule root) {
        Map<Rule, Integer> widths = new HashMap<>();
        Deque<Rule> open = new ArrayDeque<>(List.of(root));
        Set<Rule> seen = new HashSet<>(open);
        while (!open.isEmpty()) {
            Rule rule = open.removeLast();
            require(
                    width(rule, widths) <= MOST_WAYS,
                    "enum, anyOf and properties leave more than %d ways to go on at one place"
                            .formatted(MOST_WAYS));
            for (List<Goal> sequence : rule.alternatives) {
                for (Goal goal : sequence) {
                    if (goal instanceof Rule inner && seen.add(inner)) {
                        open.add(inner);
                    }
                }
            }
        }
    }

    /** Goals that a rule may begin with, counted to just above what is allowed. */
    private static int width(Rule rule, Map<Rule, Integer> widths) {
        Integer known = widths.get(rule);
        if (known != null) {
            return known;
        }
        int width = 0;
        for (List<Goal> sequence : rule.alternatives) {
            for (Goal goal : sequence) {
                width += goal instanceof Rule inner ? width(inner, widths) : 1;
                width = Math.min(width, MOST_WAYS + 1);
                if (!(goal instanceof Goal.Blanks)) { // which may be none
                    break;
                }
            }
        }
        widths.put(rule, width);
        return width;
    }

    /** Counts what is about to be made: copies of lists within lists multiply. */
    private void count(long made) {
        rules += made;
        if (rules > MOST_RULES) {
            throw refused(
                    "%s takes the schema above %d rules, the most that are made for one; lower maxItems and minItems, name"
                                    .formatted(here(), MOST_RULES)
                            + " fewer kinds of items, or describe a part that repeats once under $defs and refer to it");
        }
    }

    /**
     * Where the schema that is read stands, e.g. {@code #/properties/a/items}; a long one's end.
     */
    private String here() {
        String all = String.join("/", path);
        return all.length() <= SHOWN_PATH ? all : "..." + all.substring(all.length() - SHOWN_PATH);
    }

    /** Reads a schema that stands within the one that is read, or that it refers to. */
    private Goal at(String step, JsonNode schema) {
        path.addLast(step);
        if (path.size() > MOST_DEPTH) {
            throw refused(
                    "%s lies more than %d schemas deep; describe the value in fewer levels"
                            .formatted(here(), MOST_DEPTH));
        }
        Goal read = schema(schema);
        path.removeLast();
        return read;
    }

    private Goal schema(JsonNode schema) {
        count(1);
        if (schema.isBoolean() && schema.asBoolean()) {
            return free.value;
        }
        if (!schema.isObject()) {
            throw refused("each schema must be an object");
        }
        for (String keyword : schema.propertyNames()) {
            if (!KEPT.contains(keyword) && !NOTES.contains(keyword)) {
                throw refused(
                        "the keyword %s is not supported; leave it out and check the answer"
                                .formatted(keyword));
            }
        }
        if (schema.has("$ref")) {
            return reference(schema.get("$ref").asString(""));
        }
        if (schema.has("const")) {
            return literal(text(schema.get("const")));
        }
        if (schema.has("enum")) {
            return any(schema.get("enum"), (step, value) -> literal(text(value)));
        }
        for (String choice : List.of("anyOf", "oneOf", "allOf")) {
            if (schema.has(choice)) {
                JsonNode of = schema.get(choice);
                if (choice.equals("allOf") && of.size() != 1) {
                    throw refused("allOf is supported with one schema");
                }
                return any(of, (step, each) -> at(choice + "/" + step, each));
            }
        }
        JsonNode type = schema.get("type");
        if (type != null && type.isArray()) {
            return any(type, (step, each) -> typed(each.asString(""), schema));
        }
        return typed(type == null ? guess(schema) : type.asString(""), schema);
    }

    private interface Reader {
        Goal read(int step, JsonNode part);
    }

    private Goal any(JsonNode choices, Reader reader) {
        if (!choices.isArray() || choices.isEmpty()) {
            throw refused("enum, anyOf and lists of types must hold at least one");
        }
        Rule rule = new Rule();
        Set<Goal> different = new LinkedHashSet<>();
        count(choices.size());
        for (int i = 0; i < choices.size(); i++) {
            different.add(reader.read(i, choices.get(i)));
        }
        different.forEach(rule::or);
        return rule;
    }

    private static String guess(JsonNode schema) {
        return schema.has("properties") || schema.has("additionalProperties")
                ? "object"
                : schema.has("items") ? "array" : "";
    }

    private Goal typed(String type, JsonNode schema) {
        return switch (type) {
            case "" -> free.value;
            case "object" -> object(schema);
            case "array" -> array(schema);
            case "string" -> {
                int least = number(schema, "minLength", 0);
                int most = number(schema, "maxLength", Goal.Inside.ENDLESS);
                require(least <= most, "minLength is above maxLength");
                yield new Rule().or(literal("\""), FreeJson.string(least, most));
            }
            case "number" -> FreeJson.number(false);
            case "integer" -> FreeJson.number(true);
            case "boolean" -> new Rule().or(literal("true")).or(literal("false"));
            case "null" -> literal("null");
            default -> throw refused("there is no type " + type);
        };
    }

    private Goal array(JsonNode schema) {
        Goal item = schema.has("items") ? at("items", schema.get("items")) : free.value;
        int least = number(schema, "minItems", 0);
        int most = number(schema, "maxItems", Integer.MAX_VALUE);
        require(least <= most, "minItems is above maxItems");
        require(
                least <= MOST_ITEMS && (most <= MOST_ITEMS || most == Integer.MAX_VALUE),
                "minItems and maxItems may be at most " + MOST_ITEMS);
        count(1 + (most == Integer.MAX_VALUE ? least : most)); // before the copies are made
        return most == 0
                ? new Rule().or(literal("["), free.between, literal("]"))
                : free.arrayOf(item, least, most);
    }

    private static int number(JsonNode schema, String name, int missing) {
        JsonNode value = schema.get(name);
        if (value == null) {
            return missing;
        }
        require(
                value.isIntegralNumber() && value.canConvertToInt() && value.asInt() >= 0,
                name + " must be an integer of at least 0");
        return value.asInt();
    }

    /** The name of a property, as its object has it. */
    private static Goal key(String name) {
        return literal(JsonMapper.shared().writeValueAsString(name) + ":");
    }

    /** A property of an object. */
    private record Property(Goal name, Goal value, boolean required) {}

    private Goal object(JsonNode schema) {
        JsonNode named = schema.path("properties");
        Set<String> required = new HashSet<>();
        schema.path("required").forEach(each -> required.add(each.asString("")));
        List<Property> properties = new ArrayList<>();
        for (Map.Entry<String, JsonNode> each : named.properties()) {
            boolean must = required.remove(each.getKey());
            Goal value = at("properties/" + each.getKey(), each.getValue());
            properties.add(new Property(key(each.getKey()), value, must));
        }
        require(
                required.isEmpty(),
                "required names " + required + ", which properties does not describe");
        require(
                properties.size() <= MOST_PROPERTIES,
                "an object may have " + MOST_PROPERTIES + " properties");
        JsonNode further = schema.get("additionalProperties");
        if (properties.isEmpty()) {
            return further != null && further.isBoolean() && !further.asBoolean()
                    ? new Rule().or(literal("{"), free.between, literal("}"))
                    : further != null && further.isObject()
                            ? free.objectOf(at("additionalProperties", further))
                            : free.object;
        }
        return new Rule().or(literal("{"), free.between, properties(properties));
    }

    /** What an object may go on with; its properties come in order, some may be left out. */
    private Rule properties(List<Property> all) {
        Rule[] from = new Rule[all.size() + 1]; // behind so many of them
        for (int at = all.size(); at >= 0; at--) {
            from[at] = properties(all, at, from);
        }
        return from[0];
    }

    private Rule properties(List<Property> all, int at, Rule[] from) {
        Rule rule = new Rule();
        for (int i = at; i < all.size(); i++) {
            Property property = all.get(i);
            count(1);
            Goal name = property.name();
            Rule rest = from[i + 1];
            if (at == 0) {
                rule.or(name, free.between, property.value(), free.between, rest);
            } else {
                rule.or(
                        literal(","),
                        free.between,
                        name,
                        free.between,
                        property.value(),
                        free.between,
                        rest);
            }
            if (property.required()) {
                return rule;
            }
        }
        return rule.or(literal("}"));
    }

    private static String text(@Nullable JsonNode value) {
        return JsonMapper.shared().writeValueAsString(value);
    }

    private static void require(boolean holds, String rule) {
        if (!holds) {
            throw refused(rule);
        }
    }

    private static ConfigException refused(String reason) {
        return ConfigException.of("json schema: %s", reason);
    }
}
