package org.qlora4j.optim;

import org.qlora4j.testing.PackedJson;
import tools.jackson.databind.JsonNode;

/** What {@code make_optim_references.py} made. */
final class References {
    private References() {}

    static JsonNode read(String name) {
        return PackedJson.resource(References.class, name);
    }

    static float[] floats(JsonNode array) {
        float[] out = new float[array.size()];
        for (int i = 0; i < out.length; i++) {
            out[i] = (float) array.get(i).asDouble();
        }
        return out;
    }

    static long[] longs(JsonNode array) {
        return array.valueStream().mapToLong(JsonNode::asLong).toArray();
    }
}
