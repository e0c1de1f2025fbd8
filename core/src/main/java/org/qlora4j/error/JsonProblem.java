package org.qlora4j.error;

import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import tools.jackson.core.JacksonException;

/**
 * What is wrong with a text of JSON, in one line that names nothing of the library that read it.
 */
public final class JsonProblem {
    /** Limits of the parser, which it tells by the names of its own settings. */
    private static final Map<Pattern, String> LIMITS =
            Map.of(
                    Pattern.compile("Document nesting depth \\(\\d+\\) exceeds .*?\\((\\d+).*"),
                    "lists and objects stand in each other more than %s deep",
                    Pattern.compile("String value length \\(\\d+\\) exceeds .*?\\((\\d+).*"),
                    "a text has more than %s characters",
                    Pattern.compile("(?:Property n|N)ame length \\(\\d+\\) exceeds .*?\\((\\d+).*"),
                    "a name has more than %s characters",
                    Pattern.compile("Number value length \\(\\d+\\) exceeds .*?\\((\\d+).*"),
                    "a number has more than %s digits");

    /** What of a line is of use to programmers of the parser alone. */
    private static final List<Pattern> NOISE =
            List.of(
                    Pattern.compile(" \\(start marker at.*"),
                    Pattern.compile(" \\(through reference chain.*"),
                    Pattern.compile(",? \\(?from `[^`]*`\\)?"));

    private JsonProblem() {}

    /** The problem without its place, which {@link JacksonException#getLocation} has. */
    public static String of(JacksonException e) {
        String line = String.valueOf(e.getOriginalMessage()).lines().findFirst().orElse("broken");
        if (line.startsWith("Trailing token")) {
            return "more follows behind its end";
        }
        for (Map.Entry<Pattern, String> limit : LIMITS.entrySet()) {
            Matcher matcher = limit.getKey().matcher(line);
            if (matcher.matches()) {
                return limit.getValue().formatted(matcher.group(1));
            }
        }
        for (Pattern noise : NOISE) {
            line = noise.matcher(line).replaceFirst("");
        }
        return line;
    }
}
