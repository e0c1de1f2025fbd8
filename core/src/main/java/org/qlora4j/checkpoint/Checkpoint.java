package org.qlora4j.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.BlockType;

/**
 * The weights of one model under their Hugging Face names, whatever files hold them. Tensors are
 * read one at a time, on demand. May be used by several threads; close it when no tensor of it is
 * in use any more.
 */
public interface Checkpoint extends AutoCloseable {
    /** The weights of a folder, when they are in one file. */
    String MODEL_FILE = "model.safetensors";

    /** The list of files of a folder, when the weights are in several. */
    String INDEX_FILE = "model.safetensors.index.json";

    /** The weights of a folder of older versions of transformers. */
    String TORCH_FILE = "pytorch_model.bin";

    /** The list of files of such a folder. */
    String TORCH_INDEX = "pytorch_model.bin.index.json";

    /** The weights of a PEFT adapter's folder. */
    String ADAPTER_FILE = "adapter_model.safetensors";

    /** The weights of an adapter's folder of older versions of PEFT. */
    String TORCH_ADAPTER = "adapter_model.bin";

    /** Buffers that older versions of transformers saved beside the weights. */
    Pattern BUFFER =
            Pattern.compile(".*\\.(rotary_emb\\.inv_freq|(attn|attention)\\.(masked_)?bias)");

    /** Whether a tensor of this name follows from the config, so that no model needs it. */
    static boolean isBuffer(String name) {
        return BUFFER.matcher(name).matches();
    }

    /** Whether a folder holds the weights of a model, in another form than GGUF. */
    static boolean isIn(Path folder) {
        return Stream.of(MODEL_FILE, INDEX_FILE, TORCH_FILE, TORCH_INDEX)
                .anyMatch(name -> Files.isRegularFile(folder.resolve(name)));
    }

    /**
     * Opens a checkpoint.
     *
     * @param path a folder with {@code model.safetensors}, or {@code model.safetensors.index.json}
     *     and the files it lists, or else with one {@code *.gguf} file; or one {@code
     *     *.safetensors} file; or one {@code *.gguf} file of architecture {@code llama}; last,
     *     tensors of {@code pytorch_model.bin} or its shards
     * @throws FormatException if there is none, or a file of it is missing, cut off or damaged
     */
    static Checkpoint open(Path path) {
        if (Files.isDirectory(path)) {
            return openFolder(path);
        }
        if (path.toString().endsWith(".safetensors")) {
            return NeoxHead.named(FilesCheckpoint.of(SafetensorsFile.open(path)));
        }
        if (path.toString().endsWith(".gguf")) {
            return GgufCheckpoint.open(path);
        }
        if (path.toString().endsWith(".bin")) {
            return NeoxHead.named(FilesCheckpoint.of(TorchFile.open(path)));
        }
        throw FormatException.of(
                Files.exists(path)
                        ? "%s is no checkpoint; name a folder with "
                                + MODEL_FILE
                                + ", a .safetensors or a .gguf file"
                        : "%s does not exist; check the path",
                path);
    }

    private static Checkpoint openFolder(Path folder) {
        if (Files.exists(folder.resolve(MODEL_FILE))) {
            return NeoxHead.named(
                    FilesCheckpoint.of(SafetensorsFile.open(folder.resolve(MODEL_FILE))));
        }
        if (Files.exists(folder.resolve(INDEX_FILE))) {
            return NeoxHead.named(
                    FilesCheckpoint.ofIndex(folder.resolve(INDEX_FILE), SafetensorsFile::open));
        }
        List<Path> ggufs = ggufsIn(folder);
        if (ggufs.size() == 1) {
            return GgufCheckpoint.open(ggufs.getFirst());
        }
        if (ggufs.size() > 1) {
            throw FormatException.of(
                    "%s holds %d .gguf files; name one of them, such as %s",
                    folder, ggufs.size(), ggufs.getFirst());
        }
        if (Files.exists(folder.resolve(TORCH_FILE))) {
            return NeoxHead.named(FilesCheckpoint.of(TorchFile.open(folder.resolve(TORCH_FILE))));
        }
        if (Files.exists(folder.resolve(TORCH_INDEX))) {
            return NeoxHead.named(
                    FilesCheckpoint.ofIndex(folder.resolve(TORCH_INDEX), TorchFile::open));
        }
        if (Files.exists(folder.resolve(ADAPTER_FILE))) {
            throw FormatException.of(
                    "%s holds an adapter (%s), not a model; name the folder of its base model",
                    folder, ADAPTER_FILE);
        }
        throw FormatException.of(
                "%s has neither %s nor %s nor a .gguf file; name a model's folder",
                folder, MODEL_FILE, INDEX_FILE);
    }

    private static List<Path> ggufsIn(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> f.toString().endsWith(".gguf")).sorted().toList();
        } catch (IOException e) {
            throw new FormatException(folder + " cannot be read: " + e, e);
        }
    }

    /**
     * Where {@code config.json} and {@code tokenizer.json} lie: the folder, or that of the file.
     */
    Path folder();

    /** The files that hold the weights, by name. */
    List<Path> files();

    /** Names of all tensors, in the order in which reading is cheapest. */
    Set<String> names();

    /** Whether there is a tensor of this name. */
    default boolean has(String name) {
        return names().contains(name);
    }

    /**
     * Type and shape of a tensor as {@link #read} gives it; nothing is read.
     *
     * @throws FormatException if there is no such tensor
     */
    StoredInfo info(String name);

    /**
     * Reads a tensor. From safetensors it is a view of the file, valid until this checkpoint is
     * closed; from GGUF it is decoded into memory of the arena.
     *
     * @throws FormatException if there is no such tensor
     */
    StoredTensor read(String name, Arena arena);

    /**
     * The blocks in which a matrix is stored; null where its values are single numbers, as in all
     * but GGUF.
     */
    default @Nullable BlockType blockType(String name) {
        return null;
    }

    /**
     * Reads a matrix in its {@linkplain #blockType blocks} into memory of the arena.
     *
     * @throws FormatException if it is not stored in blocks
     */
    default StoredBlocks blocks(String name, Arena arena) {
        throw FormatException.of("%s: tensor %s is not stored in blocks", folder(), name);
    }

    /** Bytes of all tensors as they are stored. */
    long bytes();

    /** Unmaps the files. */
    @Override
    void close();
}
