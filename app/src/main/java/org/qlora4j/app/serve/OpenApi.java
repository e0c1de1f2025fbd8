package org.qlora4j.app.serve;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The OpenAPI document of the server, which is also the list of the fields that requests may have.
 */
final class OpenApi {
    private static final String FILE = "openapi.json";

    private final byte[] text;
    private final JsonNode json;

    private OpenApi(byte[] text) {
        this.text = text;
        this.json = JsonMapper.shared().readTree(text);
    }

    static OpenApi load() {
        try (InputStream in = OpenApi.class.getResourceAsStream(FILE)) {
            return new OpenApi(Objects.requireNonNull(in, FILE).readAllBytes());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    byte[] text() {
        return text;
    }

    /** Names of a request's fields. */
    Set<String> fields(String path) {
        JsonNode schema =
                json.path("paths")
                        .path(path)
                        .path("post")
                        .path("requestBody")
                        .path("content")
                        .path("application/json")
                        .path("schema");
        String pointer = schema.path("$ref").asString("");
        JsonNode whole = pointer.isEmpty() ? schema : json.at(pointer.substring(1));
        Set<String> out = new TreeSet<>(whole.path("properties").propertyNames());
        whole.path("allOf")
                .forEach(part -> {
                    String own = part.path("$ref").asString("");
                    JsonNode named = own.isEmpty() ? part : json.at(own.substring(1));
                    out.addAll(named.path("properties").propertyNames());
                });
        return out;
    }

    /** Paths, and the methods of each. */
    JsonNode paths() {
        return json.get("paths");
    }
}
