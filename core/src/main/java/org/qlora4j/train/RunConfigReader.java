package org.qlora4j.train;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map.Entry;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

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
    private final List<Given> given = new ArrayList<>();

    private RunConfigReader() {}

    /**
     * A value that somebody gave.
     *
     * @param where what the message about it begins with
     */
    record Given(ConfigKeys.Key key, JsonNode value, String where) {}

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
        reader.addLayer(reader.givenInFile(file), folder);
        reader.addLayer(reader.givenBy(overrides), Path.of("").toAbsolutePath());
        return reader.finish(file.toString(), folder);
    }

    /**
     * Settings from the command line and the defaults, without a file; errors as in {@link
     * #read(Path)}.
     */
    public static RunConfig of(Overrides overrides) {
        var reader = new RunConfigReader();
        Path folder = Path.of("").toAbsolutePath();
        reader.addLayer(reader.givenBy(overrides), folder);
        return reader.finish("settings", folder);
    }

    private List<Given> givenInFile(Path file) {
        LocatedYaml yaml = LocatedYaml.parse(textOf(file));
        yaml.problems().forEach(problem -> problems.add(file + ":" + problem));
        List<Given> layer = new ArrayList<>();
        switch (yaml.root()) {
            case ObjectNode root -> {
                String version =
                        wrongVersion(file, root.get("version"), yaml.places().get("version"));
                if (version != null) {
                    problems.add(version);
                }
                for (Entry<String, JsonNode> entry : root.properties()) {
                    if (!entry.getKey().equals("version")) {
                        addSection(layer, file, yaml, entry.getKey(), entry.getValue());
                    }
                }
            }
            case null -> {
                if (problems.isEmpty()) {
                    problems.add(
                            file + ": is empty; begin with the line version: " + RunConfig.VERSION);
                }
            }
            default ->
                    problems.add(
                            file + ":1:1: must be a map of sections, got " + shown(yaml.root()));
        }
        return layer;
    }

    private static String textOf(Path file) {
        try {
            return Files.readString(file);
        } catch (NoSuchFileException e) {
            throw new FormatException(file + ": no such file", e);
        } catch (CharacterCodingException e) {
            throw new FormatException(file + ": is not text in UTF-8; save it as such", e);
        } catch (IOException e) {
            throw new FormatException(
                    file
                            + ": cannot be read"
                            + (Files.isDirectory(file) ? ", is a folder" : ": " + e.getMessage()),
                    e);
        }
    }

    /**
     * What is wrong with the version, or null. Of a newer one nothing else can be judged: that is
     * thrown at once.
     */
    private static @Nullable String wrongVersion(
            Path file, @Nullable JsonNode version, @Nullable String place) {
        if (version == null) {
            return file + ": version is missing; add the line version: " + RunConfig.VERSION;
        }
        String where = file + ":" + place;
        if (version.isIntegralNumber()
                && version.bigIntegerValue().intValue() > RunConfig.VERSION) {
            throw ConfigException.of(
                    "%s: version %s is newer than this qlora4j reads (%d); update qlora4j",
                    where, version, RunConfig.VERSION);
        }
        boolean isKnown =
                version.isIntegralNumber()
                        && version.asString().equals(String.valueOf(RunConfig.VERSION));
        return isKnown
                ? null
                : "%s: version must be %d, got %s"
                        .formatted(where, RunConfig.VERSION, shown(version));
    }

    private void addSection(
            List<Given> layer, Path file, LocatedYaml yaml, String name, JsonNode section) {
        String where = file + ":" + yaml.places().get(name);
        if (!ConfigKeys.sections().containsKey(name)) {
            problems.add(where + ": unknown key " + name + KeyHints.forUnknown(name));
        } else if (section instanceof ObjectNode keys) {
            for (Entry<String, JsonNode> entry : keys.properties()) {
                String key = name + "." + entry.getKey();
                add(layer, key, entry.getValue(), file + ":" + yaml.places().get(key));
            }
        } else if (!section.isNull()) { // a section whose lines are all commented out is null
            problems.add(where + ": " + name + " must be a map of keys, got " + shown(section));
        }
    }

    private List<Given> givenBy(Overrides overrides) {
        List<Given> layer = new ArrayList<>();
        for (Overrides.Setting setting : overrides.settings()) {
            if (setting.literal()) {
                add(layer, setting.key(), StringNode.valueOf(setting.value()), setting.said());
                continue;
            }
            LocatedYaml yaml = LocatedYaml.parse(setting.value());
            yaml.problems()
                    .forEach(problem -> problems.add(setting.said() + ": value at " + problem));
            if (yaml.problems().isEmpty()) {
                JsonNode root = yaml.root();
                add(
                        layer,
                        setting.key(),
                        root == null ? StringNode.valueOf("") : root,
                        setting.said());
            }
        }
        return layer;
    }

    private void add(List<Given> layer, String name, JsonNode value, String where) {
        ConfigKeys.Key key = ConfigKeys.find(name);
        if (key == null) {
            problems.add(where + ": unknown key " + name + KeyHints.forUnknown(name));
        } else if (value.isNull() && !key.nullable()) {
            problems.add("%s: %s must be %s, got null".formatted(where, name, key.rule()));
        } else {
            layer.add(new Given(key, value, where));
        }
    }

    /** Puts a layer over what is there. */
    private void addLayer(List<Given> layer, Path folder) {
        retractAlternative(layer, "train.max_steps", "train.num_train_epochs");
        retractAlternative(layer, "train.num_train_epochs", "train.max_steps");
        for (Given one : layer) {
            ObjectNode section = tree.withObject("/" + one.key().section());
            section.set(one.key().leaf(), one.value());
            ConfigPaths.resolve(section, one.key(), folder);
        }
        given.addAll(layer);
    }

    /**
     * Who sets one of two keys that exclude each other takes the other back, if it came from a
     * layer below.
     */
    private void retractAlternative(List<Given> layer, String set, String other) {
        boolean isSet = false;
        boolean otherIsSet = false;
        for (Given one : layer) {
            isSet |= one.key().name().equals(set) && !one.value().isNull();
            otherIsSet |= one.key().name().equals(other);
        }
        ConfigKeys.Key key = ConfigKeys.find(other);
        if (isSet && !otherIsSet && key != null) {
            tree.withObject("/" + key.section()).putNull(key.leaf());
            given.removeIf(earlier -> earlier.key().equals(key));
        }
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
        List<Given> last = given.reversed();
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
        throw new ConfigException(String.join("\n", problems));
    }

    /** Where the key stands that the message of a check across sections begins with. */
    private String whereOf(String message, String source) {
        String key = SectionBinder.keyAtStart(message);
        for (Given one : given.reversed()) {
            if (one.key().name().equals(key)) {
                return one.where();
            }
        }
        return source;
    }

    /** A value as in the file, cut to a length that fits a message. */
    static String shown(@Nullable JsonNode value) {
        String text = String.valueOf(value);
        return text.length() <= 60 ? text : text.substring(0, 57) + "...";
    }
}
