package org.qlora4j.grammar;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.qlora4j.error.ConfigException;
import tools.jackson.databind.JsonNode;

/**
 * Which texts are wanted: JSON of a schema, perhaps between certain words. Blanks may stand between
 * parts, a few at a time, so that none goes on for ever.
 */
public final class JsonGrammar {
    /** Blanks at one place: a line end and the indentation of a deep object. */
    private static final int BLANKS = 24;

    private static final int COMPACT = 1;

    private final GrammarState start;

    private JsonGrammar(List<Goal> goals) {
        this.start = new GrammarState(Set.of(Goals.NONE.after(goals)));
    }

    /** Any object. */
    public static JsonGrammar anyObject() {
        return new JsonGrammar(List.of(new FreeJson(BLANKS).object));
    }

    /**
     * Values of a schema. Properties come in the schema's order; further ones only where it names
     * none but allows them.
     *
     * @throws ConfigException if it has a keyword that could not be kept, or makes no sense
     */
    public static JsonGrammar of(JsonNode schema) {
        return new JsonGrammar(List.of(new SchemaReader(schema, BLANKS).root()));
    }

    /**
     * {@link #of} in a single line, with certain words before and behind it.
     *
     * @throws ConfigException as {@link #of}
     */
    public static JsonGrammar between(String before, JsonNode schema, String behind) {
        List<Goal> goals = new ArrayList<>();
        if (!before.isEmpty()) {
            goals.add(literal(before));
        }
        goals.add(new SchemaReader(schema, COMPACT).root());
        if (!behind.isEmpty()) {
            goals.add(literal(behind));
        }
        return new JsonGrammar(goals);
    }

    static Goal literal(String text) {
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        return new Goal.Literal(new String(utf8, StandardCharsets.ISO_8859_1), 0);
    }

    GrammarState start() {
        return start;
    }

    /** Whether a text is wanted. */
    public boolean accepts(String text) {
        GrammarState state = start;
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
            state = state.with(b & 0xff);
        }
        return state.mayEnd();
    }
}
