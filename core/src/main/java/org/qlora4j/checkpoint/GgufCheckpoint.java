package org.qlora4j.checkpoint;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * A GGUF file of a {@linkplain GgufNames known} architecture as the Hugging Face checkpoint it was
 * made from: its names, its order of rows. Each read decodes one tensor, row by row ({@link
 * GgufRow}).
 */
final class GgufCheckpoint implements Checkpoint {
    private static final Pattern LAYER =
            Pattern.compile("blk\\.(0|[1-9][0-9]{0,5})\\.([a-z_]+)\\.(weight|bias)");

    /** Longest row that is decoded at once. */
    private static final long MAX_ROW = 1 << 28;

    private final GgufFile file;
    private final GgufNames family;
    private final Map<String, GgufFile.Tensor> tensors = new LinkedHashMap<>();
    private final long heads;
    private final long keyValueHeads;

    private GgufCheckpoint(GgufFile file) {
        this.file = file;
        String architecture = file.string("general.architecture");
        GgufNames names = GgufNames.ofArchitecture(architecture);
        if (names == null) {
            throw FormatException.of(
                    "%s: general.architecture is %s; read from GGUF are %s, fetch the model's safetensors form",
                    file.path(),
                    architecture == null ? "absent" : "'" + StrictJson.clip(architecture) + "'",
                    GgufNames.architectures());
        }
        family = names;
        if ("adapter".equals(file.string("general.type"))) {
            throw FormatException.of(
                    "%s: holds an adapter, not a model; name its base model", file.path());
        }
        if (file.integer("split.count", 1) > 1) {
            throw FormatException.of(
                    "%s: is one of %d parts; join them first with llama-gguf-split --merge",
                    file.path(), file.integer("split.count", 1));
        }
        heads = headCount(architecture + ".attention.head_count", 0);
        keyValueHeads = headCount(architecture + ".attention.head_count_kv", heads);
        file.tensors().values().forEach(this::add);
    }

    /** Opens the file and checks that every tensor can be read. */
    static GgufCheckpoint open(Path path) {
        GgufFile file = GgufFile.open(path);
        try {
            return new GgufCheckpoint(file);
        } catch (RuntimeException | Error e) {
            file.close();
            throw e;
        }
    }

    private long headCount(String key, long absent) {
        long count = file.integer(key, absent);
        if (count < 1 || count > 1 << 20) {
            throw FormatException.of(
                    "%s: key %s must be at least 1 and at most 2^20, got %d; the file is damaged",
                    file.path(), key, count);
        }
        return count;
    }

    private void add(GgufFile.Tensor tensor) {
        if (tensor.name().equals(GgufNames.ROPE_FREQUENCIES)) {
            return;
        }
        String name = huggingFaceName(tensor.name());
        if (name == null) {
            throw FormatException.of(
                    "%s: tensor %s has no place in a model of its architecture; mixtures of experts and other variants are not read"
                            + " from GGUF, fetch the model's safetensors form",
                    file.path(), tensor.name());
        }
        if (!tensor.type().isDecoded()) {
            throw FormatException.of(
                    "%s: tensor %s has the type %s, which is not read; read are %s, e.g. convert the model to Q8_0",
                    file.path(), tensor.name(), tensor.type(), GgufType.DECODED);
        }
        long[] dims = tensor.dims();
        long permutedHeads = permutedHeads(name);
        boolean splits = permutedHeads == 0 || dims[dims.length - 1] % (2 * permutedHeads) == 0;
        if (dims.length > 2 || dims[0] > MAX_ROW || !splits) {
            throw FormatException.of(
                    "%s: tensor %s has the dimensions %s, which do not fit a model of %d and %d heads;"
                            + " the file is damaged",
                    file.path(), tensor.name(), Arrays.toString(dims), heads, keyValueHeads);
        }
        tensors.put(name, tensor);
    }

    /**
     * E.g. {@code model.layers.0.mlp.up_proj.weight} for {@code blk.0.ffn_up.weight}; null if there
     * is none.
     */
    private @Nullable String huggingFaceName(String name) {
        Matcher layer = LAYER.matcher(name);
        if (!layer.matches()) {
            return GgufNames.topName(name);
        }
        String part = family.layerNames().get(layer.group(2));
        return part == null
                ? null
                : "model.layers." + layer.group(1) + "." + part + "." + layer.group(3);
    }

    private long permutedHeads(String name) {
        return family.interleavedHeads(name, heads, keyValueHeads);
    }

    @Override
    public StoredTensor read(String name, Arena arena) {
        GgufFile.Tensor tensor = tensor(name);
        StoredInfo info = info(name);
        MemorySegment source = file.data(tensor);
        MemorySegment target = arena.allocate(info.bytes(), 64);
        // in a tensor of one dimension each element is a row
        boolean flat = tensor.dims().length == 1;
        long rows = flat ? tensor.dims()[0] : tensor.dims()[1];
        MemorySegment decoded = flat ? arena.allocate(info.bytes(), 64) : target;
        long width = info.bytes() / rows;
        if (flat) {
            GgufRow.decode(tensor.type(), source, decoded);
        }
        for (long i = 0; i < rows; i++) {
            MemorySegment at =
                    target.asSlice(
                            GgufNames.huggingFaceRow(i, rows, permutedHeads(name)) * width, width);
            if (flat) {
                at.copyFrom(decoded.asSlice(i * width, width));
            } else {
                long bytes = tensor.bytes() / rows;
                GgufRow.decode(tensor.type(), source.asSlice(i * bytes, bytes), at);
            }
        }
        return new StoredTensor(name, info.type(), info.shape(), target, file.path());
    }

    @Override
    public StoredInfo info(String name) {
        long[] dims = tensor(name).dims();
        return new StoredInfo(
                name,
                GgufRow.decodedType(tensor(name).type()),
                dims.length == 1 ? dims : new long[] {dims[1], dims[0]});
    }

    private GgufFile.Tensor tensor(String name) {
        GgufFile.Tensor tensor = tensors.get(name);
        if (tensor == null) {
            throw FormatException.of(
                    "%s has no tensor %s (it holds %d others)", file.path(), name, tensors.size());
        }
        return tensor;
    }

    @Override
    public List<Path> files() {
        return List.of(file.path());
    }

    @Override
    public Path folder() {
        return AtomicFiles.folderOf(file.path());
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(tensors.keySet());
    }

    @Override
    public long bytes() {
        return tensors.values().stream().mapToLong(GgufFile.Tensor::bytes).sum();
    }

    @Override
    public void close() {
        file.close();
    }
}
