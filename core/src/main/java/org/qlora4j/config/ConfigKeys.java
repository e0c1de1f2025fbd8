package org.qlora4j.config;

import com.fasterxml.jackson.annotation.JsonClassDescription;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonPropertyDescription;
import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.qlora4j.lora.TargetModules;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Every key of the settings with its type, default and meaning, read off the config records: no
 * second list.
 */
public final class ConfigKeys {
    private ConfigKeys() {}

    /**
     * One key.
     *
     * @param name with its section, e.g. {@code lora.r}
     * @param type what a value must be, e.g. {@code whole number} or {@code nf4|fp4}
     * @param defaultValue as one would write it in YAML; empty where the key must be given
     * @param description one sentence
     * @param required whether it has no default
     * @param nullable whether null is a value of it
     */
    public record Key(
            String name,
            String type,
            String defaultValue,
            String description,
            boolean required,
            boolean nullable) {
        /** The part before the dot. */
        public String section() {
            return name.substring(0, name.indexOf('.'));
        }

        /** The part after the dot. */
        public String leaf() {
            return name.substring(name.indexOf('.') + 1);
        }

        /** The end of the sentence "must be …". */
        String rule() {
            int last = type.lastIndexOf('|');
            String rule;
            if (last >= 0) {
                rule =
                        type.substring(0, last).replace("|", ", ")
                                + " or "
                                + type.substring(last + 1);
            } else {
                boolean isOneOfItsKind =
                        type.equals("text") || type.startsWith(TargetModules.ALL_LINEAR);
                rule = isOneOfItsKind ? type : "a " + type;
            }
            return nullable ? rule + " or null" : rule;
        }
    }

    private static final Map<String, Class<?>> SECTIONS = readSections();
    private static final Map<String, Key> KEYS = readKeys();

    /** All keys, in the order of the records. */
    public static List<Key> all() {
        return List.copyOf(KEYS.values());
    }

    /** The settings that differ from their defaults, by key, as one would write them in YAML. */
    public static Map<String, String> changed(RunConfig config) {
        JsonNode now = ConfigMapper.YAML.valueToTree(config);
        ObjectNode defaults = defaults();
        Map<String, String> out = new LinkedHashMap<>();
        for (String name : KEYS.keySet()) {
            String path = "/" + name.replace('.', '/');
            JsonNode value = now.at(path);
            if (!value.equals(defaults.at(path))) {
                out.put(name, value.isString() ? value.stringValue() : value.toString());
            }
        }
        return out;
    }

    /** The key with this full name, or null. */
    static @Nullable Key find(String name) {
        return KEYS.get(name);
    }

    /** Names of the sections with the record of each, in order. */
    static Map<String, Class<?>> sections() {
        return SECTIONS;
    }

    /** The defaults as a tree: a copy, free to be changed. */
    static ObjectNode defaults() {
        return ConfigMapper.YAML.valueToTree(RunConfig.DEFAULT);
    }

    private static Map<String, Class<?>> readSections() {
        Map<String, Class<?>> sections = new LinkedHashMap<>();
        for (RecordComponent section : RunConfig.class.getRecordComponents()) {
            if (section.getType().isRecord()) {
                sections.put(nameOf(section), section.getType());
            }
        }
        return sections;
    }

    private static Map<String, Key> readKeys() {
        Map<String, Key> keys = new LinkedHashMap<>();
        ObjectNode defaults = defaults();
        SECTIONS.forEach((section, record) -> {
            for (RecordComponent component : record.getRecordComponents()) {
                String leaf = nameOf(component);
                JsonNode value = defaults.path(section).path(leaf);
                boolean required = value.isString() && value.stringValue().isEmpty();
                var about = component.getAccessor().getAnnotation(JsonPropertyDescription.class);
                keys.put(
                        section + "." + leaf,
                        new Key(
                                section + "." + leaf,
                                describe(component.getGenericType()),
                                value.isString() ? value.stringValue() : value.toString(),
                                about == null ? "" : about.value(),
                                required,
                                isNullable(component)));
            }
        });
        return keys;
    }

    private static String nameOf(RecordComponent component) {
        var property = component.getAccessor().getAnnotation(JsonProperty.class);
        if (property != null && !property.value().isEmpty()) {
            return property.value();
        }
        return component.getName().replaceAll("([A-Z])", "_$1").toLowerCase(java.util.Locale.ROOT);
    }

    private static boolean isNullable(RecordComponent component) {
        var setter = component.getAccessor().getAnnotation(JsonSetter.class);
        return component.getAnnotatedType().isAnnotationPresent(Nullable.class)
                || (setter != null && setter.nulls() == Nulls.AS_EMPTY);
    }

    private static String describe(Type type) {
        if (type instanceof ParameterizedType generic) {
            Type[] arguments = generic.getActualTypeArguments();
            return generic.getRawType() == Map.class
                    ? "map of %s to %s".formatted(describe(arguments[0]), describe(arguments[1]))
                    : "list of %s".formatted(describe(arguments[0]));
        }
        Class<?> plain = (Class<?>) type;
        if (plain.isEnum()) {
            return Arrays.stream(plain.getEnumConstants())
                    .map(constant -> ConfigMapper.YAML.valueToTree(constant).asString())
                    .collect(Collectors.joining("|"));
        }
        var described = plain.getAnnotation(JsonClassDescription.class);
        if (described != null) {
            return described.value();
        }
        return switch (plain.getSimpleName()) {
            case "int", "Integer", "long", "Long" -> "whole number";
            case "double", "Double", "float", "Float" -> "number";
            case "boolean", "Boolean" -> "true|false";
            case "String" -> "text";
            case "Object" -> "value";
            default -> throw new IllegalStateException("no words for a setting of " + plain);
        };
    }
}
