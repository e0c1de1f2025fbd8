package org.qlora4j.task;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.common.ScalarStyle;
import org.snakeyaml.engine.v2.composer.Composer;
import org.snakeyaml.engine.v2.events.Event;
import org.snakeyaml.engine.v2.exceptions.Mark;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.parser.Parser;
import org.snakeyaml.engine.v2.parser.ParserImpl;
import org.snakeyaml.engine.v2.scanner.StreamReader;

/**
 * Task files as PyYAML reads them: YAML 1.1 with its words for booleans, aliases, merge keys, the
 * tag {@code !function}, and {@code include}, whose keys the file's own replace.
 */
final class TaskYaml {
    private static final Pattern TRUE = Pattern.compile("yes|Yes|YES|true|True|TRUE|on|On|ON");
    private static final Pattern FALSE = Pattern.compile("no|No|NO|false|False|FALSE|off|Off|OFF");
    private static final Pattern NULL = Pattern.compile("~|null|Null|NULL|");
    private static final Pattern DECIMAL = Pattern.compile("[-+]?(?:0|[1-9][0-9_]*)");
    private static final Pattern BASED =
            Pattern.compile("[-+]?0(?:b[0-1_]+|x[0-9a-fA-F_]+|[0-7_]+)");
    private static final Pattern FLOAT =
            Pattern.compile(
                    "[-+]?(?:[0-9][0-9_]*\\.[0-9_]*(?:[eE][-+][0-9]+)?|\\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|\\.(?:inf|Inf|INF))|\\.(?:nan|NaN|NAN)");
    private static final int MOST_INCLUDES = 20;

    /** Files that one may include, each counted as often as it is read. */
    private static final int MOST_FILES = 200;

    /** Values of a file, those of an alias counted at each place where it stands. */
    private static final int MOST_VALUES = 200_000;

    /** Lists and mappings inside one another. */
    private static final int MOST_NESTING = 100;

    private TaskYaml() {}

    /**
     * A Python function that a file names, which is never run.
     *
     * @param name such as {@code utils.process_docs}
     * @param place file, line and column
     */
    record PythonFunction(String name, String place) {}

    /**
     * The keys of a file with those it includes. Values are null, Boolean, Long, Double, String,
     * List, Map or {@link PythonFunction}.
     *
     * @throws FormatException with file, line and column if it is not YAML, or no mapping
     */
    static Map<String, Object> read(TaskFile file) {
        return read(file, 0, new int[1]);
    }

    /**
     * @param files how many were read so far
     */
    private static Map<String, Object> read(TaskFile file, int depth, int[] files) {
        if (depth > MOST_INCLUDES || ++files[0] > MOST_FILES) {
            throw FormatException.of(
                    "%s: include: more than %d files in one another, or %d in all; do they include themselves?",
                    file, MOST_INCLUDES, MOST_FILES);
        }
        if (!file.exists()) {
            throw FormatException.of("%s does not exist; name a task file (.yaml)", file);
        }
        Map<String, Object> own = parse(file);
        Object include = own.remove("include");
        if (include == null) {
            return own;
        }
        Map<String, Object> merged = new LinkedHashMap<>();
        for (Object name : include instanceof List<?> list ? list : List.of(include)) {
            Map<String, Object> included =
                    read(file.sibling(String.valueOf(name)), depth + 1, files);
            included.remove("task_list");
            merged.putAll(included);
        }
        merged.putAll(own);
        return merged;
    }

    private static Map<String, Object> parse(TaskFile file) {
        LoadSettings settings = LoadSettings.builder().setLabel(file.toString()).build();
        try {
            String text = file.text();
            requireShallow(file, text, settings);
            Optional<Node> root = new Composer(settings, parser(text, settings)).getSingleNode();
            if (root.isPresent() && root.get() instanceof MappingNode mapping) {
                return new Reader(file, new int[1]).mapping(mapping);
            }
            throw FormatException.of("%s: a task file is a mapping of keys to values", file);
        } catch (MarkedYamlEngineException e) {
            String place = e.getProblemMark().map(TaskYaml::place).orElse("");
            throw FormatException.of("%s%s: not valid YAML: %s", file, place, e.getProblem());
        } catch (YamlEngineException e) {
            String problem = String.valueOf(e.getMessage()).replaceAll("\\s*\\R\\s*", " ");
            throw FormatException.of("%s: not valid YAML: %s", file, problem);
        }
    }

    /** By exported packages: on the module path SnakeYAML's {@code lowlevel} is out of reach. */
    private static Parser parser(String text, LoadSettings settings) {
        return new ParserImpl(settings, new StreamReader(settings, text));
    }

    /** Refuses nesting before anything goes down into it. */
    private static void requireShallow(TaskFile file, String text, LoadSettings settings) {
        int depth = 0;
        for (Parser events = parser(text, settings); events.hasNext(); ) {
            Event event = events.next();
            depth +=
                    switch (event.getEventId()) {
                        case MappingStart, SequenceStart -> 1;
                        case MappingEnd, SequenceEnd -> -1;
                        default -> 0;
                    };
            if (depth > MOST_NESTING) {
                throw FormatException.of(
                        "%s%s: lists and mappings stand more than %d deep in one another",
                        file, event.getStartMark().map(TaskYaml::place).orElse(""), MOST_NESTING);
            }
        }
    }

    private static String place(Mark mark) {
        return ":" + (mark.getLine() + 1) + ":" + (mark.getColumn() + 1);
    }

    /**
     * One walk over the nodes of a file.
     *
     * @param values how many there were so far
     */
    @SuppressWarnings("ArrayRecordComponent") // a counter
    private record Reader(TaskFile file, int[] values) {
        Map<String, Object> mapping(MappingNode node) {
            Map<String, Object> own = new LinkedHashMap<>();
            Map<String, Object> merged = new LinkedHashMap<>();
            for (NodeTuple tuple : node.getValue()) {
                Node key = tuple.getKeyNode();
                boolean plain =
                        key instanceof ScalarNode s && s.getScalarStyle() == ScalarStyle.PLAIN;
                String name = String.valueOf(value(key));
                if (plain && name.equals("<<")) {
                    merge(tuple.getValueNode(), merged);
                } else {
                    put(own, name, value(tuple.getValueNode()));
                }
            }
            own.forEach((name, value) -> put(merged, name, value));
            return merged;
        }

        private void merge(Node node, Map<String, Object> into) {
            if (node.isRecursive()) {
                throw wrong(node, "an alias stands inside of what it means");
            }
            switch (node) {
                case MappingNode mapping -> mapping(mapping).forEach(into::putIfAbsent);
                case SequenceNode list -> list.getValue().forEach(item -> merge(item, into));
                default -> throw wrong(node, "<< merges mappings only");
            }
        }

        @SuppressWarnings("NullAway") // a key may be set to null, as in JSON
        private static void put(Map<String, Object> map, String name, @Nullable Object value) {
            map.put(name, value);
        }

        private @Nullable Object value(Node node) {
            if (node.isRecursive()) {
                throw wrong(node, "an alias stands inside of what it means");
            }
            if (++values[0] > MOST_VALUES) {
                throw wrong(
                        node,
                        "there are more than " + MOST_VALUES + " values, aliases written out");
            }
            String tag = node.getTag().getValue();
            if (tag.equals("!function")) {
                String name = node instanceof ScalarNode scalar ? scalar.getValue() : "";
                return new PythonFunction(name, file + at(node));
            }
            if (tag.startsWith("!")) {
                throw wrong(node, "the tag " + tag + " is not known");
            }
            return switch (node) {
                case MappingNode mapping -> mapping(mapping);
                case SequenceNode list -> {
                    List<@Nullable Object> items = new ArrayList<>();
                    list.getValue().forEach(item -> items.add(value(item)));
                    yield items;
                }
                case ScalarNode scalar ->
                        scalar.getScalarStyle() == ScalarStyle.PLAIN
                                ? plain(scalar.getValue())
                                : scalar.getValue();
                default -> throw wrong(node, "this kind of node is not read");
            };
        }

        private FormatException wrong(Node node, String problem) {
            return FormatException.of("%s%s: %s", file, at(node), problem);
        }

        private static String at(Node node) {
            return node.getStartMark().map(TaskYaml::place).orElse("");
        }
    }

    /** What PyYAML makes of a scalar without quotes. */
    static @Nullable Object plain(String text) {
        if (NULL.matcher(text).matches()) {
            return null;
        }
        if (TRUE.matcher(text).matches()) {
            return true;
        }
        if (FALSE.matcher(text).matches()) {
            return false;
        }
        String digits = text.replace("_", "");
        if (DECIMAL.matcher(text).matches()) {
            return whole(text, digits, 10);
        }
        if (BASED.matcher(text).matches()) {
            boolean negative = digits.startsWith("-");
            String body = digits.replaceFirst("^[-+]?0", "");
            int radix = body.startsWith("x") ? 16 : body.startsWith("b") ? 2 : 8;
            return whole(
                    text, (negative ? "-" : "") + (radix == 8 ? body : body.substring(1)), radix);
        }
        if (FLOAT.matcher(text).matches()) {
            String lower = digits.toLowerCase(java.util.Locale.ROOT);
            return switch (lower) {
                case ".nan" -> Double.NaN;
                case ".inf", "+.inf" -> Double.POSITIVE_INFINITY;
                case "-.inf" -> Double.NEGATIVE_INFINITY;
                default -> Double.parseDouble(digits);
            };
        }
        return text;
    }

    private static Object whole(String text, String digits, int radix) {
        try {
            return Long.parseLong(digits, radix);
        } catch (NumberFormatException e) { // longer than 64 bits, which no setting is
            return text;
        }
    }
}
