package org.qlora4j.testing;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.zip.GZIPInputStream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Expected values that are kept packed with gzip. */
public final class PackedJson {
    private PackedJson() {}

    /** The bytes of a file, unpacked if its name ends in {@code .gz}. */
    public static InputStream unpacked(String name, InputStream file) throws IOException {
        return name.endsWith(".gz") ? new GZIPInputStream(file) : file;
    }

    /** A resource beside a class. */
    public static JsonNode resource(Class<?> owner, String name) {
        try (InputStream in =
                unpacked(name, Objects.requireNonNull(owner.getResourceAsStream(name), name))) {
            return JsonMapper.shared().readTree(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The whole file. */
    public static JsonNode read(Path file) {
        try (InputStream in = unpacked(file.toString(), Files.newInputStream(file))) {
            return new JsonMapper().readTree(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
