package org.qlora4j.study;

import static org.qlora4j.error.Require.require;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Nearest;
import org.qlora4j.quant.TrialType;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import tools.jackson.databind.json.JsonMapper;

/**
 * What a study compares: a YAML file.
 *
 * @param settings words {@code key=value} as {@code qlora train} takes them, of model, data and
 *     training; in the file a mapping {@code settings} of the sections
 * @param datatypes {@code datatypes} that weights are rounded to
 * @param blockSizes {@code block_sizes}
 * @param doubleQuant {@code double_quant}: without, with, or both
 * @param precisions {@code precisions} that are finetuned: {@code 16bit}, {@code int8}, {@code
 *     fp4}, {@code nf4}, {@code nf4-dq}
 * @param targets {@code targets}: linears that adapters sit on, lists by name
 * @param ranks {@code ranks} of adapters
 * @param seeds {@code seeds} of each finetuning
 */
public record StudyConfig(
        List<String> settings,
        List<String> datatypes,
        List<Integer> blockSizes,
        List<Boolean> doubleQuant,
        List<String> precisions,
        Map<String, List<String>> targets,
        List<Integer> ranks,
        List<Integer> seeds) {
    private static final Set<String> KEYS =
            Set.of(
                    "settings",
                    "datatypes",
                    "block_sizes",
                    "double_quant",
                    "precisions",
                    "targets",
                    "ranks",
                    "seeds");

    /** Precisions that can be finetuned. */
    static final List<String> PRECISIONS = List.of("16bit", "int8", "fp4", "nf4", "nf4-dq");

    /** Without a file: all types in blocks of 64, all linears and the attention's, three seeds. */
    public static final StudyConfig DEFAULT =
            new StudyConfig(
                    List.of(),
                    List.of("nf4", "fp4", "int4", "nf3", "nf2", "int8"),
                    List.of(64),
                    List.of(false, true),
                    PRECISIONS,
                    defaultTargets(),
                    List.of(16),
                    List.of(0, 1, 2));

    /** In this order: the first is what others are compared with. */
    private static Map<String, List<String>> defaultTargets() {
        Map<String, List<String>> out = new LinkedHashMap<>();
        out.put("all", List.of("all-linear"));
        out.put("attention", List.of("q_proj", "k_proj", "v_proj", "o_proj"));
        return Collections.unmodifiableMap(out);
    }

    public StudyConfig {
        for (String type : datatypes) {
            require(
                    TrialType.of(type).isPresent(),
                    "datatypes must be of nf4, fp4, int4, nf3, nf2, int8, got %s",
                    type);
        }
        for (int size : blockSizes) {
            require(
                    size >= 32 && size <= 4096 && Integer.bitCount(size) == 1,
                    "block_sizes must be powers of two from 32 to 4096, got %d",
                    size);
        }
        for (String precision : precisions) {
            require(
                    PRECISIONS.contains(precision),
                    "precisions must be of %s, got %s",
                    String.join(", ", PRECISIONS),
                    precision);
        }
        require(!seeds.isEmpty(), "seeds is empty; name one at least");
    }

    /**
     * Reads a file; what it leaves out is as in {@link #DEFAULT}.
     *
     * @throws FormatException naming the file and the key for what cannot be used
     */
    public static StudyConfig read(Path file) {
        try {
            Object root =
                    new Load(LoadSettings.builder().setLabel(file.toString()).build())
                            .loadFromString(Files.readString(file));
            if (!(root instanceof Map<?, ?> map)) {
                throw FormatException.of("%s is no mapping of keys to values", file);
            }
            return of(map);
        } catch (IOException e) {
            throw new FormatException(file + " cannot be read: " + e.getMessage(), e);
        } catch (YamlEngineException e) {
            throw FormatException.of(
                    "%s is no YAML: %s",
                    file, String.valueOf(e.getMessage()).replaceAll("\\s*\\R\\s*", " "));
        } catch (ConfigException e) {
            throw FormatException.of("%s: %s", file, e.getMessage());
        }
    }

    private static StudyConfig of(Map<?, ?> map) {
        for (Object key : map.keySet()) {
            String near = Nearest.of(String.valueOf(key), KEYS);
            require(
                    KEYS.contains(String.valueOf(key)),
                    "unknown key %s%s",
                    key,
                    near == null ? "" : "; did you mean " + near + "?");
        }
        return new StudyConfig(
                settings(map.get("settings")),
                list(map, "datatypes", DEFAULT.datatypes, String.class),
                list(map, "block_sizes", DEFAULT.blockSizes, Integer.class),
                list(map, "double_quant", DEFAULT.doubleQuant, Boolean.class),
                list(map, "precisions", DEFAULT.precisions, String.class),
                targets(map.get("targets")),
                list(map, "ranks", DEFAULT.ranks, Integer.class),
                list(map, "seeds", DEFAULT.seeds, Integer.class));
    }

    private static <T> List<T> list(Map<?, ?> map, String key, List<T> fallback, Class<T> type) {
        Object value = map.get(key);
        if (value == null) {
            return fallback;
        }
        List<T> out = new ArrayList<>();
        for (Object item : value instanceof List<?> many ? many : List.of(value)) {
            require(
                    type.isInstance(item),
                    "%s must list values such as %s, got %s",
                    key,
                    fallback.getFirst(),
                    item);
            out.add(type.cast(item));
        }
        require(!out.isEmpty(), "%s is empty; leave it out for its default", key);
        return List.copyOf(out);
    }

    private static Map<String, List<String>> targets(@Nullable Object value) {
        if (value == null) {
            return DEFAULT.targets;
        }
        require(
                value instanceof Map<?, ?>,
                "targets must map names to lists of linears, got %s",
                value);
        Map<String, List<String>> out = new LinkedHashMap<>();
        if (value instanceof Map<?, ?> map) {
            map.forEach((name, linears) ->
                    out.put(
                            String.valueOf(name),
                            (linears instanceof List<?> many ? many : List.of(linears))
                                    .stream().map(String::valueOf).toList()));
        }
        return out;
    }

    /** Sections and their keys as words; lists and mappings as JSON, which is YAML. */
    private static List<String> settings(@Nullable Object value) {
        List<String> out = new ArrayList<>();
        if (value == null) {
            return out;
        }
        require(value instanceof Map<?, ?>, "settings must map sections to keys, got %s", value);
        if (value instanceof Map<?, ?> sections) {
            sections.forEach((section, keys) -> {
                require(keys instanceof Map<?, ?>, "settings.%s must map keys to values", section);
                if (keys instanceof Map<?, ?> map) {
                    map.forEach((key, one) ->
                            out.add(
                                    section
                                            + "."
                                            + key
                                            + "="
                                            + new JsonMapper().writeValueAsString(one)));
                }
            });
        }
        return out;
    }
}
