package org.qlora4j.checkpoint;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;

/**
 * A checkpoint of one safetensors file, or of several that {@code model.safetensors.index.json}
 * lists.
 */
final class SafetensorsCheckpoint implements Checkpoint {
    private final Path folder;
    private final Collection<SafetensorsFile> files;
    private final Map<String, SafetensorsFile> fileOf;

    private SafetensorsCheckpoint(
            Path folder, Collection<SafetensorsFile> files, Map<String, SafetensorsFile> fileOf) {
        this.folder = folder;
        this.files = files;
        this.fileOf = fileOf;
    }

    /** The tensors of one file. */
    static SafetensorsCheckpoint ofFile(Path path) {
        SafetensorsFile file = SafetensorsFile.open(path);
        var fileOf = new LinkedHashMap<String, SafetensorsFile>();
        file.names().forEach(name -> fileOf.put(name, file));
        return new SafetensorsCheckpoint(AtomicFiles.folderOf(path), List.of(file), fileOf);
    }

    /** The tensors of the index's {@code weight_map}; all its files are opened and checked. */
    static SafetensorsCheckpoint ofIndex(Path index) {
        Path folder = AtomicFiles.folderOf(index);
        Map<String, String> weightMap = weightMap(index);
        var opened = new TreeMap<String, SafetensorsFile>();
        try {
            for (String shard : weightMap.values()) {
                if (!opened.containsKey(shard)) {
                    opened.put(shard, SafetensorsFile.open(shardPath(index, folder, shard)));
                }
            }
            var fileOf = new LinkedHashMap<String, SafetensorsFile>();
            for (SafetensorsFile file :
                    opened.values()) { // shard by shard: this is the order to read in
                String shard = String.valueOf(file.path().getFileName());
                for (String name : file.names()) {
                    if (shard.equals(weightMap.get(name))) {
                        fileOf.put(name, file);
                    }
                }
            }
            for (var entry : weightMap.entrySet()) {
                if (!fileOf.containsKey(entry.getKey())) {
                    throw FormatException.of(
                            "%s: tensor %s should be in %s, which does not hold it; fetch the checkpoint again",
                            index, entry.getKey(), entry.getValue());
                }
            }
            return new SafetensorsCheckpoint(folder, opened.values(), fileOf);
        } catch (RuntimeException | Error e) {
            opened.values().forEach(SafetensorsFile::close);
            throw e;
        }
    }

    /** Reads {@code {"weight_map": {"tensor": "file"}}}. */
    private static Map<String, String> weightMap(Path index) {
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
    private static Path shardPath(Path index, Path folder, String shard) {
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

    @Override
    public List<Path> files() {
        return files.stream().map(SafetensorsFile::path).toList();
    }

    @Override
    public Path folder() {
        return folder;
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(fileOf.keySet());
    }

    @Override
    public StoredInfo info(String name) {
        return file(name).info(name);
    }

    @Override
    public StoredTensor read(String name, Arena arena) {
        return file(name).tensor(name);
    }

    private SafetensorsFile file(String name) {
        SafetensorsFile file = fileOf.get(name);
        if (file == null) {
            throw FormatException.of(
                    "%s: has no tensor %s (%d others)", folder, name, fileOf.size());
        }
        return file;
    }

    @Override
    public long bytes() {
        return fileOf.keySet().stream().mapToLong(name -> info(name).bytes()).sum();
    }

    @Override
    public void close() {
        files.forEach(SafetensorsFile::close);
    }
}
