package org.qlora4j.testing;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import tools.jackson.databind.JsonNode;

/** The resource folder {@code tiny-llama}: model, tokenizer, chat template, adapter. */
public final class TinyLlama {
    private TinyLlama() {}

    public static Path folder() {
        URL config = Objects.requireNonNull(TinyLlama.class.getResource("/tiny-llama/config.json"));
        try {
            return Path.of(config.toURI()).resolveSibling(".").normalize();
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** What transformers answers. */
    public static JsonNode expected() {
        return Golden.json(folder().resolve("expected.json"));
    }

    /** Copies the folder's own files, but those left out, into another. */
    public static Path copyTo(Path target, String... leftOut) {
        try (var files = Files.list(folder())) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                String name = String.valueOf(file.getFileName());
                if (!List.of(leftOut).contains(name)) {
                    Files.copy(file, target.resolve(name));
                }
            }
            return target;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static int[] ints(JsonNode array) {
        return array.valueStream().mapToInt(JsonNode::asInt).toArray();
    }
}
