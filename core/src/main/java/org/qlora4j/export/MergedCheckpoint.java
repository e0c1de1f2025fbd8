package org.qlora4j.export;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.StoredInfo;
import org.qlora4j.checkpoint.StoredQuantized;
import org.qlora4j.checkpoint.StoredTensor;
import org.qlora4j.checkpoint.StoredType;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.FormatException;
import org.qlora4j.lora.WeightChanges;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.ModelShape.LinearShape;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * A checkpoint with an adapter worked into it. Its linear weights are perhaps rounded to 4 bits
 * before. Each tensor is made when it is read, in f32, and rounded once: memory holds one at a
 * time. Weights that bitsandbytes stored are read decoded.
 *
 * <p>It owns neither the checkpoint nor the adapter.
 */
final class MergedCheckpoint implements Checkpoint {
    private final Checkpoint base;
    private final Bnb4bit in4bits;
    private final @Nullable WeightChanges adapter;
    private final @Nullable QuantConfig rounding;
    private final Map<String, LinearShape> linears = new HashMap<>();
    private final Map<String, String> keys = new LinkedHashMap<>(); // in the base, by names
    private final RoundingLoss loss = new RoundingLoss();

    /**
     * @param adapter null for none
     * @param rounding how linears are rounded before the adapter is added; null to leave them
     * @param shape of the model, whose names count where the checkpoint leaves out the first part
     *     of all
     */
    MergedCheckpoint(
            Checkpoint base,
            @Nullable WeightChanges adapter,
            @Nullable QuantConfig rounding,
            ModelShape shape) {
        this.base = base;
        this.in4bits = Bnb4bit.of(base);
        this.adapter = adapter;
        this.rounding = rounding;
        Set<String> asked = new HashSet<>();
        for (LinearShape linear : shape.linears()) {
            linears.put(linear.path() + ".weight", linear);
            asked.add(linear.path() + ".weight");
        }
        shape.others().forEach(weight -> asked.add(weight.name()));
        String table = shape.tables().getFirst();
        String first = table.substring(0, table.indexOf('.') + 1);
        for (String key : base.names()) {
            if (in4bits.has(key) || in4bits.plain().contains(key)) {
                boolean bare = !asked.contains(key) && asked.contains(first + key);
                keys.put(bare ? first + key : key, key);
            }
        }
    }

    private String key(String name) {
        return keys.getOrDefault(name, name);
    }

    /** Whether the checkpoint has the weight of this name as [in, out]. */
    private boolean isTransposed(String name) {
        LinearShape linear = linears.get(name);
        return linear != null && linear.transposed();
    }

    /** How much of the change the tensors read so far keep in their own type. */
    RoundingLoss loss() {
        return loss;
    }

    /** Whether a weight is among those that training holds in 4 bits. */
    boolean isLinear(String name) {
        LinearShape linear = linears.get(name);
        return linear != null && linear.quantizable();
    }

    @Override
    public Path folder() {
        return base.folder();
    }

    @Override
    public List<Path> files() {
        return base.files();
    }

    @Override
    public Set<String> names() {
        return Collections.unmodifiableSet(keys.keySet());
    }

    @Override
    public StoredInfo info(String name) {
        StoredType type;
        long[] shape;
        if (in4bits.has(key(name))) {
            try (Arena arena = Arena.ofConfined()) {
                StoredQuantized stored = in4bits.read(key(name), arena);
                type = StoredType.valueOf(dtype(stored).name());
                shape = stored.shape();
                if (isTransposed(name)) { // in 4 bits they are [out, in]
                    shape = new long[] {shape[1], shape[0]};
                }
            }
        } else {
            type = base.info(key(name)).type();
            shape = base.info(key(name)).shape();
        }
        return new StoredInfo(name, type, adapter == null ? shape : adapter.shape(name, shape));
    }

    private static DType dtype(StoredQuantized stored) {
        return switch (stored.dtype()) {
            case "float16" -> DType.F16;
            case "bfloat16" -> DType.BF16;
            default -> DType.F32;
        };
    }

    private boolean isChanged(String name) {
        return adapter != null && adapter.changes(name);
    }

    /** Whether a tensor is anything else than the bytes of the checkpoint. */
    private boolean isMade(String name) {
        return in4bits.has(key(name)) || isChanged(name) || (rounding != null && isLinear(name));
    }

    @Override
    public StoredTensor read(String name, Arena arena) {
        if (!isMade(name)) {
            StoredTensor own = base.read(key(name), arena);
            return new StoredTensor(name, own.type(), own.shape(), own.data(), own.file());
        }
        StoredInfo info = info(name);
        try (TensorScope scope = TensorScope.open()) {
            Tensor before = before(name);
            Tensor merged = merged(name, before);
            Tensor rounded = merged.to(DType.valueOf(info.type().name()));
            if (isChanged(name) && Arrays.equals(before.shape(), merged.shape())) {
                loss.add(before, merged, rounded);
            }
            Tensor laid = isTransposed(name) ? rounded.t().contiguous() : rounded;
            MemorySegment bytes = Tensors.copyOf(laid, arena);
            return new StoredTensor(name, info.type(), info.shape(), bytes, files().getFirst());
        }
    }

    /**
     * A weight with the adapter in it, F32, before it is rounded to any type; of a linear [out,
     * in].
     */
    Tensor merged(String name) {
        try (TensorScope scope = TensorScope.open()) {
            return scope.promote(merged(name, before(name)));
        }
    }

    private Tensor merged(String name, Tensor before) {
        return adapter != null && adapter.changes(name)
                ? adapter.merged(name, before, isTransposed(name))
                : before;
    }

    /**
     * A weight of the base, F32: as training held it, where it is to be rounded; of a linear [out,
     * in].
     */
    Tensor before(String name) {
        try (TensorScope scope = TensorScope.open()) {
            if (in4bits.has(key(name))) {
                try (Arena arena = Arena.ofConfined();
                        QuantizedMatrix matrix =
                                TensorBytes.toMatrix(in4bits.read(key(name), arena), folder())) {
                    return scope.promote(matrix.dequantize(DType.F32));
                }
            }
            Tensor stored = plain(key(name));
            Tensor plain = isTransposed(name) ? stored.t().contiguous() : stored;
            if (rounding == null || !isLinear(name)) {
                return scope.promote(plain.to(DType.F32));
            }
            try (QuantizedMatrix matrix = QuantizedMatrix.quantize(plain, rounding)) {
                return scope.promote(matrix.dequantize(DType.F32));
            } catch (ArithmeticException e) {
                throw new FormatException(
                        "%s: tensor %s holds a value that is NaN or infinite; fetch the checkpoint again"
                                .formatted(folder(), name),
                        e);
            }
        }
    }

    private Tensor plain(String name) {
        try (Arena arena = Arena.ofConfined()) {
            StoredTensor stored = base.read(name, arena);
            Tensor tensor = TensorBytes.toTensor(stored);
            stored.unload();
            if (!tensor.dtype().isFloat()) {
                throw FormatException.of(
                        "%s: tensor %s has dtype %s; weights are F32, F16 or BF16",
                        folder(), name, tensor.dtype());
            }
            return tensor;
        }
    }

    @Override
    public long bytes() {
        return names().stream().mapToLong(name -> info(name).bytes()).sum();
    }

    @Override
    public void close() {}
}
