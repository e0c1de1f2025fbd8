package org.qlora4j.lora;

import com.fasterxml.jackson.annotation.JsonClassDescription;
import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.PatternSyntaxException;
import org.qlora4j.error.ConfigException;
import org.qlora4j.template.PythonPattern;
import org.qlora4j.template.PythonRegex;

/**
 * A choice of layers by their module path in the checkpoint, e.g. {@code
 * model.layers.0.self_attn.q_proj}, written as in PEFT: the word {@code all-linear}, a list of
 * names, or a regular expression.
 */
@JsonClassDescription("all-linear, list of names or regular expression")
public sealed interface TargetModules {
    /** The word for every linear layer but the output embedding. */
    String ALL_LINEAR = "all-linear";

    /**
     * Whether a layer with this path, known to be linear and not the output embedding, is chosen.
     */
    boolean matches(String modulePath);

    /** As written in YAML and in {@code adapter_config.json}: a text or a list of texts. */
    @JsonValue
    Object json();

    /** Every linear layer but the output embedding: what the paper adapts (section 4, figure 2). */
    record AllLinear() implements TargetModules {
        @Override
        public boolean matches(String modulePath) {
            return true;
        }

        @Override
        public Object json() {
            return ALL_LINEAR;
        }
    }

    /** Layers whose path is one of the names, or ends in a dot and one of them. */
    record Named(List<String> names) implements TargetModules {
        public Named {
            if (names.isEmpty()) {
                throw new ConfigException("is an empty list; name at least one layer, e.g. q_proj");
            }
            for (String name : names) {
                if (name.isBlank()) {
                    throw new ConfigException("has an empty name; name a layer, e.g. q_proj");
                }
            }
            names = List.copyOf(names);
        }

        @Override
        public boolean matches(String modulePath) {
            for (String name : names) {
                if (modulePath.equals(name) || modulePath.endsWith("." + name)) {
                    return true;
                }
            }
            return false;
        }

        @Override
        public Object json() {
            return names;
        }
    }

    /** Layers whose whole path matches the regular expression. */
    record Matching(String regex) implements TargetModules {
        public Matching {
            try {
                PythonPattern.compile(regex, 0);
            } catch (PatternSyntaxException e) {
                throw ConfigException.of(
                        "is not a regular expression: %s at index %d of %s",
                        e.getDescription(), e.getIndex(), regex);
            }
        }

        @Override
        public boolean matches(String modulePath) {
            return PythonRegex.matches(regex, modulePath);
        }

        @Override
        public Object json() {
            return regex;
        }
    }

    /**
     * Reads what {@link #json} gives. The message of the {@link ConfigException} for anything else
     * begins after the key, which only the caller knows.
     */
    @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
    static TargetModules of(Object json) {
        if (json instanceof String text && !text.isBlank()) {
            return text.equalsIgnoreCase(ALL_LINEAR) ? new AllLinear() : new Matching(text);
        }
        if (json instanceof List<?> list) {
            List<String> names = new ArrayList<>();
            for (Object name : list) {
                if (!(name instanceof String text)) {
                    throw ConfigException.of("must list names of layers, got %s among them", name);
                }
                names.add(text);
            }
            return new Named(names);
        }
        throw ConfigException.of(
                "must be all-linear, a list of names or a regular expression, got %s",
                json instanceof String ? "an empty text" : json);
    }
}
