package org.qlora4j.checkpoint;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;

/** The list of a checkpoint's files, {@code *.index.json}. */
final class ShardIndex {
    private ShardIndex() {}

    /** Reads {@code {"weight_map": {"tensor": "file"}}}. */
    static Map<String, String> read(Path index) {
        String text;
        try (Arena arena = Arena.ofConfined()) {
            var bytes = MappedFile.map(index, arena);
            if (bytes.byteSize() > SafetensorsFile.MAX_HEADER) {
                throw FormatException.of(
                        "%s: has %d bytes, more than the %d an index may have",
                        index, bytes.byteSize(), SafetensorsFile.MAX_HEADER);
            }
            text = StrictJson.utf8(index, "index", bytes);
        }
        JsonNode map = StrictJson.object(index, "index", text).path("weight_map");
        if (!map.isObject() || map.isEmpty()) {
            throw FormatException.of(
                    "%s: weight_map must name a file for each tensor; fetch the file again", index);
        }
        var weightMap = new LinkedHashMap<String, String>();
        for (var entry : map.properties()) {
            if (!entry.getValue().isString()) {
                throw FormatException.of(
                        "%s: weight_map.%s must be the name of a file; fetch the file again",
                        index, StrictJson.clip(entry.getKey()));
            }
            weightMap.put(entry.getKey(), entry.getValue().asString());
        }
        return weightMap;
    }

    /** A shard lies beside its index: a name that leads elsewhere is an attack or an accident. */
    static Path path(Path index, Path folder, String shard) {
        if (!shard.matches("[A-Za-z0-9_][A-Za-z0-9_.+-]{0,250}") || shard.contains("..")) {
            throw FormatException.of(
                    "%s: weight_map names the file '%s'; only plain names of files beside the index are read",
                    index, StrictJson.clip(shard));
        }
        Path path = folder.resolve(shard);
        if (!Files.isRegularFile(path)) {
            throw FormatException.of("%s is missing, but %s lists it; fetch it too", path, index);
        }
        return path;
    }
}
