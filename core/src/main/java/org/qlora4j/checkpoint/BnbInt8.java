package org.qlora4j.checkpoint;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.qlora4j.error.FormatException;

/**
 * The weights of a checkpoint that bitsandbytes holds in 8 bits, LLM.int8() (arXiv 2208.07339). A
 * layer {@code P} has codes {@code P.weight} I8 [out, in], the largest magnitude of each row {@code
 * P.SCB} F32 [out], and {@code P.weight_format} U8 0, rows.
 */
public final class BnbInt8 {
    private static final String WEIGHT = ".weight";
    private static final String SCALES = ".SCB";
    private static final String FORMAT = ".weight_format";

    private final Checkpoint checkpoint;
    private final Set<String> weights = new LinkedHashSet<>();

    /** A weight's parts; valid as long as the arena they were read into. */
    public record Stored(StoredTensor codes, StoredTensor scales) {}

    private BnbInt8(Checkpoint checkpoint) {
        this.checkpoint = checkpoint;
    }

    /**
     * Finds the weights by their scales; a checkpoint may well have none.
     *
     * @throws FormatException if there are scales without codes
     */
    public static BnbInt8 of(Checkpoint checkpoint) {
        BnbInt8 found = new BnbInt8(checkpoint);
        for (String key : checkpoint.names()) {
            if (key.endsWith(SCALES)) {
                String weight = key.substring(0, key.length() - SCALES.length()) + WEIGHT;
                if (!checkpoint.has(weight)) {
                    throw found.error(key, "has no codes, " + weight + ", beside it");
                }
                found.weights.add(weight);
            }
        }
        return found;
    }

    /** Keys of the weights in 8 bits. */
    public Set<String> weights() {
        return Collections.unmodifiableSet(weights);
    }

    /** Keys that belong to a weight beside its own. */
    public static List<String> sides(String weight) {
        String path = weight.substring(0, weight.length() - WEIGHT.length());
        return List.of(path + SCALES, path + FORMAT);
    }

    /**
     * Reads a weight and checks that its parts fit each other.
     *
     * @param arena as for {@link Checkpoint#read}
     */
    public Stored read(String weight, Arena arena) {
        List<String> sides = sides(weight);
        StoredTensor codes = checkpoint.read(weight, arena);
        StoredTensor scales = checkpoint.read(sides.get(0), arena);
        if (codes.type() != StoredType.I8 || codes.shape().length != 2) {
            throw error(
                    weight,
                    "is %s %s, 8 bits are I8 [out, in]"
                            .formatted(codes.type(), Arrays.toString(codes.shape())));
        }
        if (scales.type() != StoredType.F32
                || !Arrays.equals(scales.shape(), new long[] {codes.shape()[0]})) {
            throw error(
                    sides.get(0),
                    "is %s %s, its weight calls for F32 [%d]"
                            .formatted(
                                    scales.type(),
                                    Arrays.toString(scales.shape()),
                                    codes.shape()[0]));
        }
        if (checkpoint.has(sides.get(1))) {
            StoredTensor format = checkpoint.read(sides.get(1), arena);
            if (format.type() != StoredType.U8
                    || format.data().byteSize() != 1
                    || format.data().get(ValueLayout.JAVA_BYTE, 0) != 0) {
                throw error(sides.get(1), "is not 0; only codes in rows are read");
            }
        }
        return new Stored(codes, scales);
    }

    private FormatException error(String key, String what) {
        return FormatException.of(
                "%s: bitsandbytes tensor %s %s; fetch the checkpoint again, or use the unquantized model",
                checkpoint.folder(), key, what);
    }

    /** Refuses a checkpoint that holds any, where only its plain or 4-bit weights are of use. */
    static void refuse(Checkpoint checkpoint) {
        if (!of(checkpoint).weights.isEmpty()) {
            throw FormatException.of(
                    "%s holds weights in 8 bits, of which no other model is made; name the model that it was quantized from",
                    checkpoint.folder());
        }
    }

    /** Adds all tensors of a weight to a file, as bitsandbytes writes them. */
    public static void add(
            TensorWriter writer,
            String weight,
            long[] shape,
            MemorySegment codes,
            MemorySegment scales) {
        List<String> sides = sides(weight);
        writer.add(weight, StoredType.I8, shape, codes);
        writer.add(sides.get(0), StoredType.F32, new long[] {shape[0]}, scales);
        writer.add(sides.get(1), StoredType.U8, new long[0], MemorySegment.ofArray(new byte[1]));
    }
}
