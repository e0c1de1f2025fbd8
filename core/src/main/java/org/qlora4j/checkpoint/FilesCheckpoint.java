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
import java.util.function.Function;
import org.qlora4j.error.FormatException;

/** A checkpoint of one file of tensors, or of several that an index lists. */
final class FilesCheckpoint implements Checkpoint {
    private final Path folder;
    private final Collection<? extends TensorFile> files;
    private final Map<String, TensorFile> fileOf;

    private FilesCheckpoint(
            Path folder, Collection<? extends TensorFile> files, Map<String, TensorFile> fileOf) {
        this.folder = folder;
        this.files = files;
        this.fileOf = fileOf;
    }

    /** The tensors of one file, which is closed with the checkpoint. */
    static FilesCheckpoint of(TensorFile file) {
        var fileOf = new LinkedHashMap<String, TensorFile>();
        file.names().forEach(name -> fileOf.put(name, file));
        return new FilesCheckpoint(AtomicFiles.folderOf(file.path()), List.of(file), fileOf);
    }

    /**
     * The tensors of the files of an index's {@code weight_map}; all are opened and checked. Where
     * several hold one of a name, that of the file that the index names counts; a tensor that the
     * index does not list, or lists for a file without it, is found as transformers finds it.
     *
     * @param open opens one of them
     */
    static FilesCheckpoint ofIndex(Path index, Function<Path, ? extends TensorFile> open) {
        Path folder = AtomicFiles.folderOf(index);
        Map<String, String> weightMap = ShardIndex.read(index);
        var opened = new TreeMap<String, TensorFile>();
        try {
            for (String shard : weightMap.values()) {
                if (!opened.containsKey(shard)) {
                    opened.put(shard, open.apply(ShardIndex.path(index, folder, shard)));
                }
            }
            var fileOf = new LinkedHashMap<String, TensorFile>();
            opened.forEach((shard, file) -> { // shard by shard: this is the order to read in
                for (String name : file.names()) {
                    if (!fileOf.containsKey(name) || shard.equals(weightMap.get(name))) {
                        fileOf.put(name, file);
                    }
                }
            });
            // a tensor that no file holds is missed by who asks for it, if anybody does
            return new FilesCheckpoint(folder, opened.values(), fileOf);
        } catch (RuntimeException | Error e) {
            opened.values().forEach(TensorFile::close);
            throw e;
        }
    }

    @Override
    public List<Path> files() {
        return files.stream().map(TensorFile::path).toList();
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
        return file(name).read(name, arena);
    }

    private TensorFile file(String name) {
        TensorFile file = fileOf.get(name);
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
        files.forEach(TensorFile::close);
    }
}
