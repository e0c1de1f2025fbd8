package org.qlora4j.tokenize;

import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/** Words for a JSON value in messages: its type, and itself where that is short. */
final class JsonKind {
    private JsonKind() {}

    static String of(@Nullable JsonNode value) {
        if (value == null || value.isMissingNode()) {
            return "nothing";
        }
        String text = value.toString();
        if (text.length() <= 40) {
            return text;
        }
        return switch (value.getNodeType()) {
            case ARRAY -> "a list of " + value.size();
            case OBJECT -> "an object of " + value.size();
            case STRING -> "text of " + value.stringValue().length() + " characters";
            default -> text.substring(0, 37) + "...";
        };
    }
}
