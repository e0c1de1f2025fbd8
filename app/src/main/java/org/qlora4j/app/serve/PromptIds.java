package org.qlora4j.app.serve;

import java.util.ArrayList;
import java.util.List;
import org.qlora4j.TextService;
import tools.jackson.databind.JsonNode;

/** Fields that hold a text, a list of token ids, or a list of either. */
record PromptIds(TextService service) {
    private static final int MOST = 256;

    List<List<Integer>> of(Fields fields, String name) {
        JsonNode given = fields.get(name);
        if (given == null || (given.isArray() && given.isEmpty())) {
            throw ApiError.field(name, name + " is missing");
        }
        List<List<Integer>> out = new ArrayList<>();
        if (given.isArray() && !given.get(0).isNumber()) {
            if (given.size() > MOST) { // before any is encoded
                throw ApiError.field(name, "%s may hold %d texts".formatted(name, MOST));
            }
            given.forEach(each -> out.add(ids(each, name)));
        } else {
            out.add(ids(given, name));
        }
        return out;
    }

    private List<Integer> ids(JsonNode text, String name) {
        if (text.isString()) {
            return service.encode(text.asString());
        }
        if (!text.isArray() || text.valueStream().anyMatch(id -> !Fields.isInt(id))) {
            throw ApiError.field(
                    name, name + " must be a text, a list of token ids, or a list of these");
        }
        return text.valueStream().map(JsonNode::asInt).toList();
    }
}
