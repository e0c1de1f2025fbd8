package org.qlora4j.testing;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * A golden safetensors file, read by plain code of its own, so that tests do not lean on the reader
 * they test.
 */
public final class Golden {
    private static final JsonMapper JSON = new JsonMapper();

    private final Path file;
    private final MemorySegment data;
    private final Map<String, JsonNode> entries = new LinkedHashMap<>();

    private Golden(Path file) {
        this.file = file;
        try (FileChannel channel = FileChannel.open(file)) {
            MemorySegment all =
                    channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), Arena.ofAuto());
            long header = all.get(ValueLayout.JAVA_LONG_UNALIGNED, 0);
            byte[] json = all.asSlice(8, header).toArray(ValueLayout.JAVA_BYTE);
            data = all.asSlice(8 + header);
            JSON.readTree(new String(json, StandardCharsets.UTF_8))
                    .forEachEntry((name, entry) -> entries.put(name, entry));
            entries.remove("__metadata__");
        } catch (IOException e) {
            throw new IllegalStateException(file + ": " + e, e);
        }
    }

    /** The golden folder; the test is skipped where it does not exist. */
    public static Path folder() {
        Path folder = Path.of(System.getProperty("qlora.golden", "../../shared/data/golden"));
        assumeTrue(
                Files.isDirectory(folder),
                "no golden files at " + folder + "; set -Dqlora.golden=DIR");
        return folder;
    }

    /** The model of the smollm2 golden files; the test is skipped where it does not exist. */
    public static Path smollm2() {
        Path model = Path.of(System.getProperty("qlora.smollm2", "smollm2.gguf"));
        assumeTrue(Files.exists(model), "no model at " + model + "; set -Dqlora.smollm2=PATH");
        return model;
    }

    public static Golden open(Path file) {
        return new Golden(file);
    }

    public static JsonNode json(Path file) {
        try {
            return JSON.readTree(Files.readString(file));
        } catch (IOException e) {
            throw new IllegalStateException(file + ": " + e, e);
        }
    }

    public Set<String> names() {
        return entries.keySet();
    }

    /** The tensor, owned by the innermost scope. */
    public Tensor tensor(String name) {
        JsonNode entry = entry(name);
        long[] shape = new long[entry.get("shape").size()];
        for (int i = 0; i < shape.length; i++) {
            shape[i] = entry.get("shape").get(i).asLong();
        }
        return Tensors.fromBytes(DType.valueOf(entry.get("dtype").asString()), shape, bytes(name));
    }

    /** The raw bytes. */
    public MemorySegment bytes(String name) {
        JsonNode offsets = entry(name).get("data_offsets");
        long from = offsets.get(0).asLong();
        return data.asSlice(from, offsets.get(1).asLong() - from);
    }

    private JsonNode entry(String name) {
        JsonNode entry = entries.get(name);
        if (entry == null) {
            throw new IllegalArgumentException(
                    file + " has no tensor " + name + "; it has " + entries.keySet());
        }
        return entry;
    }
}
