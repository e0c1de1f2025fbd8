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
 * A checkpoint of one file of {@code torch.save}, or of several that {@code
 * pytorch_model.bin.index.json} lists.
 */
final class TorchCheckpoint implements Checkpoint {
    private final Path folder;
    private final Collection<TorchFile> files;
    private final Map<String, TorchFile> fileOf = new LinkedHashMap<>();

    private TorchCheckpoint(Path folder, Collection<TorchFile> files) {
        this.folder = folder;
        this.files = files;
        files.forEach(file -> file.names().forEach(name -> fileOf.put(name, file)));
    }

    /** The tensors of one file. */
    static TorchCheckpoint ofFile(Path path) {
        return new TorchCheckpoint(AtomicFiles.folderOf(path), List.of(TorchFile.open(path)));
    }

    /** The tensors of the files that an index lists. */
    static TorchCheckpoint ofIndex(Path index) {
        Path folder = AtomicFiles.folderOf(index);
        Map<String, TorchFile> opened = new TreeMap<>();
        try {
            for (String shard : ShardIndex.read(index).values()) {
                if (!opened.containsKey(shard)) {
                    opened.put(shard, TorchFile.open(ShardIndex.path(index, folder, shard)));
                }
            }
            return new TorchCheckpoint(folder, opened.values());
        } catch (RuntimeException | Error e) {
            opened.values().forEach(TorchFile::close);
            throw e;
        }
    }

    @Override
    public List<Path> files() {
        return files.stream().map(TorchFile::path).toList();
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

    private TorchFile file(String name) {
        TorchFile file = fileOf.get(name);
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
        files.forEach(TorchFile::close);
    }
}
