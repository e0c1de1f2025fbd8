package org.qlora4j.checkpoint;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.qlora4j.error.FormatException;

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
        Map<String, String> weightMap = ShardIndex.read(index);
        var opened = new TreeMap<String, SafetensorsFile>();
        try {
            for (String shard : weightMap.values()) {
                if (!opened.containsKey(shard)) {
                    opened.put(shard, SafetensorsFile.open(ShardIndex.path(index, folder, shard)));
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
            // a tensor that its file does not hold is missed by who asks for it, if anybody does
            return new SafetensorsCheckpoint(folder, opened.values(), fileOf);
        } catch (RuntimeException | Error e) {
            opened.values().forEach(SafetensorsFile::close);
            throw e;
        }
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
