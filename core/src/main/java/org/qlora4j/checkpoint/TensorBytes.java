package org.qlora4j.checkpoint;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Objects;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.BlockScales;
import org.qlora4j.quant.QuantType;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/** Where bytes of files become tensors, and tensors bytes. */
public final class TensorBytes {
    /** Levels are written as f32; they may have been computed anew. */
    private static final float LEVEL_TOLERANCE = 1e-6f;

    private TensorBytes() {}

    /** A copy of a stored tensor in the innermost scope. */
    public static Tensor toTensor(StoredTensor stored) {
        return Tensors.fromBytes(dtype(stored), stored.shape(), stored.data());
    }

    /** Adds a tensor to a file to be written; its bytes are copied now. */
    public static void add(SafetensorsWriter writer, String name, Tensor tensor, Arena arena) {
        writer.add(
                name,
                StoredType.valueOf(tensor.dtype().name()),
                tensor.shape(),
                Tensors.copyOf(tensor, arena));
    }

    /**
     * A weight that bitsandbytes quantized, as it is, without rounding it again.
     *
     * @param folder of its checkpoint, for messages
     * @throws FormatException if its {@code quant_map} holds other levels than its type has
     */
    public static QuantizedMatrix toMatrix(StoredQuantized stored, Path folder) {
        QuantType type = QuantType.of(stored.quantType());
        requireLevels(stored, type, folder);
        try (TensorScope scope = TensorScope.open()) {
            Tensor codes = bytes(DType.U8, stored.codes());
            StoredQuantized.Nested nested = stored.nested();
            BlockScales scales =
                    nested == null
                            ? BlockScales.plain(bytes(DType.F32, stored.absmax()))
                            : new BlockScales(
                                    bytes(DType.U8, stored.absmax()),
                                    bytes(DType.F32, nested.absmax()),
                                    nested.map(),
                                    nested.offset());
            DType before =
                    switch (stored.dtype()) {
                        case "bfloat16" -> DType.BF16;
                        case "float16" -> DType.F16;
                        default -> DType.F32;
                    };
            return new QuantizedMatrix(
                    type, stored.blockSize(), before, stored.shape(), codes, scales);
        }
    }

    /** Kernels have the levels of a type built in; a file with others would be decoded wrongly. */
    private static void requireLevels(StoredQuantized stored, QuantType type, Path folder) {
        float[] levels = type.levels();
        for (int i = 0; i < levels.length; i++) {
            float found = stored.quantMap()[i];
            if (Math.abs(found - levels[i]) > LEVEL_TOLERANCE) {
                throw FormatException.of(
                        "%s: tensor %s.quant_map has level %s for code %d, %s has %s; only the levels of nf4 and fp4 are"
                                + " read, use the unquantized model",
                        folder, stored.name(), found, i, type.key(), levels[i]);
            }
        }
    }

    /**
     * A weight in 4 bits as bitsandbytes stores it; its bytes are copied now.
     *
     * @param name key of the weight in the checkpoint
     */
    public static StoredQuantized toStored(String name, QuantizedMatrix matrix, Arena arena) {
        return toStored(name, matrix, matrix.dtype(), arena);
    }

    /**
     * As {@link #toStored(String, QuantizedMatrix, Arena)}, of a weight that was computed in
     * another type than it is to be read in.
     *
     * @param before type that readers decode to
     */
    public static StoredQuantized toStored(
            String name, QuantizedMatrix matrix, DType before, Arena arena) {
        BlockScales scales = matrix.scales();
        Tensor nested = scales.nestedAbsmax();
        return new StoredQuantized(
                name,
                matrix.type().key(),
                matrix.blockSize(),
                switch (before) {
                    case BF16 -> "bfloat16";
                    case F16 -> "float16";
                    default -> "float32";
                },
                matrix.shape(),
                Tensors.copyOf(matrix.codes(), arena),
                Tensors.copyOf(scales.absmax(), arena),
                nested == null
                        ? null
                        : new StoredQuantized.Nested(
                                Tensors.copyOf(nested, arena),
                                scales.offset(),
                                scales.map(),
                                BlockScales.NESTED_BLOCK),
                matrix.type().levels());
    }

    private static Tensor bytes(DType dtype, java.lang.foreign.MemorySegment data) {
        return Tensors.fromBytes(dtype, new long[] {data.byteSize() / dtype.bytes()}, data);
    }

    private static DType dtype(StoredTensor stored) {
        try {
            return DType.valueOf(Objects.requireNonNull(stored.type()).name());
        } catch (IllegalArgumentException e) {
            throw FormatException.of(
                    "%s: tensor %s has dtype %s, which is not supported; use F32, F16 or BF16",
                    stored.file(), stored.name(), stored.type());
        }
    }
}
