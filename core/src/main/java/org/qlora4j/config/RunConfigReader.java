package org.qlora4j.config;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.node.ObjectNode;

/**
 * Reads settings: the defaults of the records, over them the YAML file, over that what the command
 * line says. A key that no record knows is an error; all that is wrong is said in one message, a
 * line each, which begins with {@code FILE:LINE:COLUMN} or with the word that was typed.
 *
 * <p>Paths that are relative become absolute, so that the settings of a run can be read back from
 * any place: those of the file stand relative to its folder, those of the command line to the
 * working folder ({@link ConfigPaths}).
 */
public final class RunConfigReader {
    private final List<String> problems = new ArrayList<>();
    private final ObjectNode tree = ConfigKeys.defaults();
    private final List<SettingsLayer.Given> given = new ArrayList<>();

    private RunConfigReader() {}

    /**
     * Reads a file alone.
     *
     * @throws ConfigException for settings that cannot be used
     * @throws FormatException for a file that cannot be read
     */
    public static RunConfig read(Path file) {
        return read(file, Overrides.NONE);
    }

    /** Reads a file, over which the command line goes; errors as in {@link #read(Path)}. */
    public static RunConfig read(Path file, Overrides overrides) {
        var reader = new RunConfigReader();
        Path parent = file.toAbsolutePath().getParent();
        Path folder = parent == null ? file.toAbsolutePath() : parent;
        reader.addPreset(overrides.preset());
        reader.addLayer(SettingsLayer.ofFile(file), folder);
        reader.addLayer(SettingsLayer.of(overrides), Path.of("").toAbsolutePath());
        return reader.finish(file.toString(), folder);
    }

    /**
     * Settings from the command line and the defaults, without a file; errors as in {@link
     * #read(Path)}.
     */
    public static RunConfig of(Overrides overrides) {
        var reader = new RunConfigReader();
        Path folder = Path.of("").toAbsolutePath();
        reader.addPreset(overrides.preset());
        reader.addLayer(SettingsLayer.of(overrides), folder);
        return reader.finish("settings", folder);
    }

    /** Settings of a program, the layers above later ones; errors as in {@link #read(Path)}. */
    static RunConfig of(@Nullable Preset preset, List<SettingsLayer> layers) {
        var reader = new RunConfigReader();
        Path folder = Path.of("").toAbsolutePath();
        reader.addPreset(preset);
        layers.forEach(layer -> reader.addLayer(layer, folder));
        return reader.finish(SectionValues.WHERE, folder);
    }

    private void addPreset(@Nullable Preset preset) {
        if (preset != null) {
            addLayer(
                    SettingsLayer.of(new Overrides(preset.settings(), List.of())),
                    Path.of("").toAbsolutePath());
        }
    }

    /** Puts a layer over what is there. */
    private void addLayer(SettingsLayer layer, Path folder) {
        retractAlternative(layer.given(), "train.max_steps", "train.num_train_epochs");
        retractAlternative(layer.given(), "train.num_train_epochs", "train.max_steps");
        oneWayOfHolding(layer.given());
        for (SettingsLayer.Given one : layer.given()) {
            ObjectNode section = tree.withObject("/" + one.key().section());
            section.set(one.key().leaf(), one.value());
            ConfigPaths.resolve(section, one.key(), folder);
        }
        given.addAll(layer.given());
        problems.addAll(layer.problems());
    }

    /**
     * Two keys may exclude each other. A layer that sets one takes the other back, if that came
     * from a layer below.
     */
    private void retractAlternative(List<SettingsLayer.Given> layer, String set, String other) {
        boolean isSet = false;
        boolean otherIsSet = false;
        for (SettingsLayer.Given one : layer) {
            isSet |= one.key().name().equals(set) && !one.value().isNull();
            otherIsSet |= one.key().name().equals(other);
        }
        ConfigKeys.Key key = ConfigKeys.find(other);
        if (isSet && !otherIsSet && key != null) {
            tree.withObject("/" + key.section()).putNull(key.leaf());
            given.removeIf(earlier -> earlier.key().equals(key));
        }
    }

    /** A layer that asks for one way of holding weights, and says nothing of another, means it. */
    private void oneWayOfHolding(List<SettingsLayer.Given> layer) {
        List<String> keys = List.of("load_in_4bit", "load_in_8bit", "keep_quantization");
        for (String asked : keys) {
            boolean taken =
                    layer.stream().anyMatch(one -> is(one, "quantization." + asked) && isTrue(one));
            for (String key : taken ? keys : List.<String>of()) {
                String other = "quantization." + key;
                if (!key.equals(asked) && layer.stream().noneMatch(one -> is(one, other))) {
                    tree.withObject("/quantization").put(key, false);
                    given.removeIf(earlier -> is(earlier, other));
                }
            }
        }
    }

    private static boolean is(SettingsLayer.Given one, String name) {
        return one.key().name().equals(name);
    }

    private static boolean isTrue(SettingsLayer.Given one) {
        return one.value().asBoolean(false);
    }

    private RunConfig finish(String source, Path folder) {
        for (ConfigKeys.Key key : ConfigKeys.all()) {
            ObjectNode section = tree.withObject("/" + key.section());
            ConfigPaths.resolve(
                    section, key, folder); // defaults; the others are absolute by now, or names
            boolean isMissing =
                    key.required()
                            && section.path(key.leaf()).isString()
                            && section.path(key.leaf()).stringValue().isBlank();
            if (isMissing) {
                problems.add(
                        "%s: %s is missing: %s".formatted(source, key.name(), key.description()));
            }
        }
        List<SettingsLayer.Given> last = given.reversed();
        ConfigKeys.sections()
                .forEach((name, record) ->
                        new SectionBinder(name, record, tree.withObject("/" + name), last, source)
                                .check(problems));
        if (problems.isEmpty()) {
            try {
                return SectionBinder.bind(tree, RunConfig.class);
            } catch (ConfigException e) {
                problems.add(
                        whereOf(String.valueOf(e.getMessage()), source) + ": " + e.getMessage());
            }
        }
        throw ConfigException.all(problems);
    }

    /** Where the key stands that the message of a check across sections begins with. */
    private String whereOf(String message, String source) {
        String key = SectionBinder.keyAtStart(message);
        for (SettingsLayer.Given one : given.reversed()) {
            if (one.key().name().equals(key)) {
                return one.where();
            }
        }
        return source;
    }
}
