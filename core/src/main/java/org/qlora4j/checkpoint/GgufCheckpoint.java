package org.qlora4j.checkpoint;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.BlockType;

/**
 * A GGUF file of a {@linkplain GgufNames known} architecture as the Hugging Face checkpoint it was
 * made from: its names, its order of rows. Each read decodes one tensor, row by row ({@link
 * GgufRow}).
 */
final class GgufCheckpoint implements Checkpoint {
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

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
        if (GgufNames.ROPE.contains(tensor.name())) {
            return;
        }
        String name = family.toHuggingFace(tensor.name());
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
        GgufOrder order = order(name);
        if (dims.length > 2 || dims[0] > MAX_ROW || !order.splits(dims[dims.length - 1])) {
            throw FormatException.of(
                    "%s: tensor %s has the dimensions %s, which do not fit a model of %d and %d heads;"
                            + " the file is damaged",
                    file.path(), tensor.name(), Arrays.toString(dims), heads, keyValueHeads);
        }
        if (order instanceof GgufOrder.PlusOne && tensor.type() != GgufType.F32) {
            throw FormatException.of(
                    "%s: tensor %s has the type %s; norms are read as F32, convert the model again",
                    file.path(), tensor.name(), tensor.type());
        }
        tensors.put(name, tensor);
    }

    private GgufOrder order(String name) {
        return family.order(name, heads, keyValueHeads);
    }

    @Override
    public StoredTensor read(String name, Arena arena) {
        StoredInfo info = info(name);
        GgufOrder order = order(name);
        MemorySegment data = decoded(tensor(name), info, order, arena);
        if (order instanceof GgufOrder.Transposed) {
            data = transposed(data, info, arena);
        } else if (order instanceof GgufOrder.PlusOne) {
            for (long at = 0; at < data.byteSize(); at += Float.BYTES) {
                data.set(FLOAT, at, data.get(FLOAT, at) - 1);
            }
        }
        return new StoredTensor(name, info.type(), info.shape(), data, file.path());
    }

    /** The values of a tensor, row after row in Hugging Face's order. */
    private MemorySegment decoded(
            GgufFile.Tensor tensor, StoredInfo info, GgufOrder order, Arena arena) {
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
            MemorySegment at = target.asSlice(order.huggingFaceRow(i, rows) * width, width);
            if (flat) {
                at.copyFrom(decoded.asSlice(i * width, width));
            } else {
                long bytes = tensor.bytes() / rows;
                GgufRow.decode(tensor.type(), source.asSlice(i * bytes, bytes), at);
            }
        }
        return target;
    }

    /** The matrix [in, out] of one [out, in]. */
    private static MemorySegment transposed(MemorySegment data, StoredInfo info, Arena arena) {
        MemorySegment out = arena.allocate(data.byteSize(), 64);
        long ins = info.shape()[0];
        long outs = info.shape()[1];
        long size = data.byteSize() / (ins * outs);
        for (long row = 0; row < ins; row++) {
            for (long column = 0; column < outs; column++) {
                MemorySegment.copy(
                        data, (column * ins + row) * size, out, (row * outs + column) * size, size);
            }
        }
        return out;
    }

    @Override
    public StoredInfo info(String name) {
        long[] dims = tensor(name).dims();
        long[] shape = dims;
        if (dims.length > 1 && !(order(name) instanceof GgufOrder.Transposed)) {
            shape = new long[] {dims[1], dims[0]};
        }
        return new StoredInfo(name, GgufRow.decodedType(tensor(name).type()), shape);
    }

    @Override
    public @Nullable BlockType blockType(String name) {
        GgufFile.Tensor tensor = tensor(name);
        return tensor.dims().length == 2 ? tensor.type().blocks : null;
    }

    @Override
    public StoredBlocks blocks(String name, Arena arena) {
        GgufFile.Tensor tensor = tensor(name);
        BlockType type = blockType(name);
        if (type == null) {
            return Checkpoint.super.blocks(name, arena);
        }
        GgufOrder order = order(name);
        long rows = tensor.dims()[1];
        long bytes = tensor.bytes() / rows;
        MemorySegment source = file.data(tensor);
        MemorySegment target = arena.allocate(tensor.bytes(), 64);
        for (long i = 0; i < rows; i++) {
            byte[] line = source.asSlice(i * bytes, bytes).toArray(ValueLayout.JAVA_BYTE);
            requireFinite(name, type, line);
            MemorySegment.copy(
                    line,
                    0,
                    target,
                    ValueLayout.JAVA_BYTE,
                    order.huggingFaceRow(i, rows) * bytes,
                    line.length);
        }
        return new StoredBlocks(type, new long[] {rows, tensor.dims()[0]}, target);
    }

    private void requireFinite(String name, BlockType type, byte[] line) {
        for (int block = 0; block < line.length / type.bytes(); block++) {
            if (!type.isFinite(line, block)) {
                throw FormatException.of(
                        "%s: tensor %s holds a value that is NaN or infinite; fetch the file again",
                        file.path(), name);
            }
        }
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
