package org.qlora4j.config;

import java.io.IOException;
import java.math.BigInteger;
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
import org.qlora4j.error.Shown;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;
import tools.jackson.databind.node.StringNode;

/**
 * What one source of settings says: a file, or the command line.
 *
 * @param given values of known keys, in order; not yet checked but for null
 * @param problems what is wrong besides, each one line that begins with its place
 */
record SettingsLayer(List<Given> given, List<String> problems) {
    /**
     * A value that somebody gave.
     *
     * @param where what the message about it begins with
     */
    record Given(ConfigKeys.Key key, JsonNode value, String where) {}

    /**
     * Reads a file. Where nothing in it can be judged (not YAML, or of a newer version) that is
     * thrown at once.
     *
     * @throws FormatException for a file that cannot be read
     */
    static SettingsLayer ofFile(Path file) {
        var layer = new SettingsLayer(new ArrayList<>(), new ArrayList<>());
        LocatedYaml yaml = LocatedYaml.parse(textOf(file));
        yaml.problems().forEach(problem -> layer.problems.add(file + ":" + problem));
        switch (yaml.root()) {
            case ObjectNode root -> layer.addRoot(root, file, yaml);
            case null ->
                    throw new ConfigException(
                            layer.problems.isEmpty()
                                    ? file
                                            + ": is empty; begin with the line version: "
                                            + RunConfig.VERSION
                                    : String.join("\n", layer.problems));
            default ->
                    throw new ConfigException(
                            file + ":1:1: must be a map of sections, got " + shown(yaml.root()));
        }
        return layer;
    }

    private void addRoot(ObjectNode root, Path file, LocatedYaml yaml) {
        String version = wrongVersion(file, root.get("version"), yaml.places().get("version"));
        if (version != null) {
            problems.add(version);
        }
        for (Entry<String, JsonNode> entry : root.properties()) {
            if (!entry.getKey().equals("version")) {
                addSection(file, yaml, entry.getKey(), entry.getValue());
            }
        }
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
                && version.bigIntegerValue().compareTo(BigInteger.valueOf(RunConfig.VERSION)) > 0) {
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

    private void addSection(Path file, LocatedYaml yaml, String name, JsonNode section) {
        String where = file + ":" + yaml.places().get(name);
        if (!ConfigKeys.sections().containsKey(name)) {
            problems.add(where + ": unknown key " + name + KeyHints.forUnknown(name));
        } else if (section instanceof ObjectNode keys) {
            for (Entry<String, JsonNode> entry : keys.properties()) {
                String key = name + "." + entry.getKey();
                add(key, entry.getValue(), file + ":" + yaml.places().get(key));
            }
        } else if (!section.isNull()) { // a section whose lines are all commented out is null
            problems.add(where + ": " + name + " must be a map of keys, got " + shown(section));
        }
    }

    /** What the command line says. */
    static SettingsLayer of(Overrides overrides) {
        var layer = new SettingsLayer(new ArrayList<>(), new ArrayList<>());
        for (Overrides.Setting setting : overrides.settings()) {
            if (setting.literal()) {
                layer.add(setting.key(), StringNode.valueOf(setting.value()), setting.said());
                continue;
            }
            LocatedYaml yaml = LocatedYaml.parse(setting.value());
            yaml.problems()
                    .forEach(problem ->
                            layer.problems.add(setting.said() + ": value at " + problem));
            if (yaml.problems().isEmpty()) {
                JsonNode root = yaml.root();
                layer.add(
                        setting.key(),
                        root == null ? StringNode.valueOf("") : root,
                        setting.said());
            }
        }
        return layer;
    }

    private void add(String name, JsonNode value, String where) {
        ConfigKeys.Key key = ConfigKeys.find(name);
        if (key == null) {
            problems.add(where + ": unknown key " + name + KeyHints.forUnknown(name));
        } else if (value.isNull() && !key.nullable()) {
            problems.add("%s: %s must be %s, got null".formatted(where, name, key.rule()));
        } else {
            given.add(new Given(key, value, where));
        }
    }

    /** A value as in the file, cut to a length that fits a message. */
    static String shown(@Nullable JsonNode value) {
        return value == null ? "null" : Shown.of(value);
    }
}
