package org.qlora4j.model;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.BnbInt8;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.StoredBlocks;
import org.qlora4j.checkpoint.StoredQuantized;
import org.qlora4j.checkpoint.StoredTensor;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.BlockType;
import org.qlora4j.quant.BlockMatrix;
import org.qlora4j.quant.FrozenMatrix;
import org.qlora4j.quant.Int8Matrix;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import tools.jackson.databind.JsonNode;

/**
 * The tensors of a checkpoint under the names by which a family asks for them. As in transformers a
 * checkpoint may leave out the first part of all names ({@code model.}), and of one table that
 * serves as embeddings and as head it may store either.
 */
final class StoredWeights implements WeightSource {
    /** Names in a message. */
    private static final int SHOWN = 3;

    /** Bytes of a table that are read at once. */
    static final long PIECE = 1 << 20;

    private final Checkpoint checkpoint;
    private final Bnb4bit in4bits;
    private final BnbInt8 in8bits;
    private final ModelShape shape;
    private final boolean keepsBlocks;
    private @Nullable Double threshold; // once asked for
    private final Set<String> used = new HashSet<>();
    private final Random newWeights;
    private final List<String> drawn = new ArrayList<>();

    /**
     * @param shape of the model that asks
     * @param newWeights gives those of a head that the checkpoint does not have
     * @param keepsBlocks whether matrices in GGUF's blocks stay in them
     */
    StoredWeights(Checkpoint checkpoint, ModelShape shape, Random newWeights, boolean keepsBlocks) {
        this.keepsBlocks = keepsBlocks;
        this.newWeights = newWeights;
        this.checkpoint = checkpoint;
        this.in4bits = Bnb4bit.besideInt8(checkpoint);
        this.in8bits = BnbInt8.of(checkpoint);
        this.shape = shape;
    }

    @Override
    public String origin() {
        return checkpoint.folder().toString();
    }

    /** The key under which a weight stands in the checkpoint, or its name if it does not. */
    private String key(String name) {
        String key = withOrWithoutPrefix(name);
        if (!checkpoint.has(key) && !shape.hasOwnHead() && name.equals(shape.headTable())) {
            String head = withOrWithoutPrefix("lm_head.weight");
            return checkpoint.has(head) ? head : key;
        }
        return key;
    }

    private String withOrWithoutPrefix(String name) {
        int dot = name.indexOf('.') + 1;
        if (checkpoint.has(name) || dot == 0) {
            return name;
        }
        String prefix = name.substring(0, dot);
        boolean others = checkpoint.names().stream().anyMatch(key -> key.startsWith(prefix));
        String bare = name.substring(dot);
        return !others && checkpoint.has(bare) ? bare : name;
    }

    @Override
    public boolean has(String name) {
        return checkpoint.has(key(name));
    }

    @Override
    public Tensor read(String name, long... expected) {
        String key = key(name);
        if (mayBeNew(name) && !(checkpoint.has(key) && has(key, expected))) {
            used.add(key);
            drawn.add(name);
            return newWeights.read(name, expected);
        }
        if (!checkpoint.has(key)) {
            throw FormatException.of(
                    "%s has no tensor %s, which config.json calls for; is this the checkpoint the config belongs to?",
                    checkpoint.folder(), name);
        }
        used.add(key);
        // a table, which is looked up and not multiplied in few bits
        try (FrozenMatrix matrix = isKept(key) ? null : readQuantized(name, expected)) {
            if (matrix != null) {
                return matrix.dequantize(DType.F32);
            }
        }
        checkShape(key, checkpoint.info(key).shape(), expected);
        try (Arena arena = Arena.ofConfined()) {
            StoredTensor stored = checkpoint.read(key, arena);
            Tensor tensor = floats(stored);
            stored.unload();
            return tensor;
        }
    }

    private Tensor floats(StoredTensor stored) {
        Tensor tensor = TensorBytes.toTensor(stored);
        if (!tensor.dtype().isFloat()) {
            throw FormatException.of(
                    "%s: tensor %s has dtype %s; weights are F32, F16 or BF16",
                    checkpoint.folder(), stored.name(), tensor.dtype());
        }
        return tensor;
    }

    /** Reads a table line by line: the largest weights are there once, in the type asked for. */
    @Override
    public @Nullable Tensor readFinite(String name, DType to, long... expected) {
        String key = key(name);
        if (expected.length != 2
                || mayBeNew(name)
                || isQuantized(name)
                || !checkpoint.has(key)
                || !has(key, expected)) {
            return WeightSource.super.readFinite(name, to, expected);
        }
        used.add(key);
        try (Arena arena = Arena.ofConfined()) {
            StoredTensor stored = checkpoint.read(key, arena);
            Tensor whole = Tensors.empty(to, expected);
            long line = stored.data().byteSize() / expected[0];
            long lines = Math.max(1, PIECE / line);
            for (long from = 0; from < expected[0]; from += lines) {
                long count = Math.min(lines, expected[0] - from);
                StoredTensor piece =
                        new StoredTensor(
                                key,
                                stored.type(),
                                new long[] {count, expected[1]},
                                stored.data().asSlice(from * line, count * line),
                                stored.file());
                try (TensorScope scope = TensorScope.open()) {
                    Tensor values = floats(piece);
                    if (!values.allFinite()) {
                        return null;
                    }
                    whole.narrow(0, from, count).copyFrom(values);
                }
                piece.unload();
            }
            return whole;
        }
    }

    private boolean mayBeNew(String name) {
        String head = shape.architecture().newHead();
        return !head.isEmpty() && name.startsWith(head);
    }

    private boolean has(String key, long... expected) {
        return Arrays.equals(checkpoint.info(key).shape(), expected);
    }

    /** A line on the weights that the checkpoint does not have as they are called for; or null. */
    @Nullable String drawn() {
        return drawn.isEmpty()
                ? null
                : "%s has no %s as this model needs them; they are drawn anew (normal, standard deviation %s, biases 0, as transformers"
                                .formatted(
                                        checkpoint.folder(),
                                        String.join(", ", drawn),
                                        newWeights.std())
                        + " does) and know nothing until they are trained or an adapter brings them";
    }

    @Override
    public void skip(String name) {
        String key = key(name);
        used.add(key);
        if (in8bits.weights().contains(key)) {
            used.addAll(BnbInt8.sides(key));
        }
    }

    @Override
    public boolean anyQuantized() {
        return keepsBlocks || !in4bits.weights().isEmpty() || !in8bits.weights().isEmpty();
    }

    /** Whether a matrix of the checkpoint stays in its blocks. */
    private boolean isKept(String key) {
        BlockType type = keepsBlocks && checkpoint.has(key) ? checkpoint.blockType(key) : null;
        return type != null && type.isKept();
    }

    @Override
    public boolean isQuantized(String name) {
        String key = key(name);
        return in4bits.has(key) || in8bits.weights().contains(key) || isKept(key);
    }

    @Override
    public @Nullable FrozenMatrix readQuantized(String name, long... expected) {
        String key = key(name);
        if (in8bits.weights().contains(key)) {
            used.add(key);
            return int8(key, expected);
        }
        if (isKept(key)) {
            used.add(key);
            return blocks(key, expected);
        }
        if (!in4bits.has(key)) {
            return null;
        }
        used.add(key);
        return matrix(key, expected);
    }

    private BlockMatrix blocks(String key, long... expected) {
        try (Arena arena = Arena.ofConfined();
                TensorScope scope = TensorScope.open()) {
            StoredBlocks stored = checkpoint.blocks(key, arena);
            checkShape(key, stored.shape(), expected);
            long[] bytes = {expected[0], stored.type().bytes(expected[1])};
            Tensor blocks = Tensors.fromBytes(DType.U8, bytes, stored.data());
            return new BlockMatrix(stored.type(), expected, blocks);
        }
    }

    private Int8Matrix int8(String key, long... expected) {
        used.addAll(BnbInt8.sides(key));
        try (Arena arena = Arena.ofConfined();
                TensorScope scope = TensorScope.open()) {
            BnbInt8.Stored stored = in8bits.read(key, arena);
            checkShape(key, stored.codes().shape(), expected);
            Tensor codes = TensorBytes.toTensor(stored.codes());
            stored.codes().unload();
            return new Int8Matrix(codes, TensorBytes.toTensor(stored.scales()), threshold());
        }
    }

    /** From which on activations are outliers, as the checkpoint says. */
    private double threshold() {
        Double known = threshold;
        if (known == null) {
            known = readThreshold();
            threshold = known;
        }
        return known;
    }

    private double readThreshold() {
        Path file = checkpoint.folder().resolve("config.json");
        JsonNode quantization =
                Files.isRegularFile(file)
                        ? ConfigFile.of(file).object("quantization_config")
                        : null;
        return quantization == null
                ? QuantConfig.DEFAULT.int8Threshold()
                : quantization
                        .path("llm_int8_threshold")
                        .asDouble(QuantConfig.DEFAULT.int8Threshold());
    }

    private QuantizedMatrix matrix(String key, long... expected) {
        try (Arena arena = Arena.ofConfined()) {
            StoredQuantized stored = in4bits.read(key, arena);
            checkShape(key, stored.shape(), expected);
            QuantizedMatrix matrix = TensorBytes.toMatrix(stored, checkpoint.folder());
            StoredTensor.unload(stored.codes());
            StoredTensor.unload(stored.absmax());
            return matrix;
        }
    }

    /** A line on the tensors that no part of the model asked for; null if there are none. */
    @Nullable String unused() {
        List<String> names = new ArrayList<>(in4bits.plain());
        names.addAll(in4bits.weights());
        names.removeAll(used);
        names.removeIf(Checkpoint::isBuffer);
        if (!shape.hasOwnHead()) { // the same table once more
            names.remove("lm_head.weight");
        }
        if (names.isEmpty()) {
            return null;
        }
        String first = names.stream().sorted().limit(SHOWN).collect(Collectors.joining(", "));
        return "%s: %d tensors of the checkpoint are not used, as config.json calls for none of them: %s%s"
                .formatted(
                        checkpoint.folder(),
                        names.size(),
                        first,
                        names.size() > SHOWN ? " and %d more".formatted(names.size() - SHOWN) : "");
    }

    private void checkShape(String name, long[] actual, long[] expected) {
        if (!Arrays.equals(actual, expected)) {
            throw FormatException.of(
                    "%s: tensor %s has shape %s, config.json calls for %s",
                    checkpoint.folder(), name, Arrays.toString(actual), Arrays.toString(expected));
        }
    }
}
