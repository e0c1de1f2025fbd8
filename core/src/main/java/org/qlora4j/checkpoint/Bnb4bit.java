package org.qlora4j.checkpoint;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;

/**
 * The weights of a checkpoint that bitsandbytes quantized to 4 bits. Beside the packed codes, under
 * the weight's own key {@code W}, lie {@code W.absmax}, {@code W.quant_map}, for double
 * quantization {@code W.nested_absmax} and {@code W.nested_quant_map}, and {@code
 * W.quant_state.bitsandbytes__nf4} or {@code __fp4}, which marks a quantized weight. Format:
 * bitsandbytes 0.50, {@code QuantState.as_dict(packed=True)}.
 */
public final class Bnb4bit {
    private static final Pattern SIDE_KEY =
            Pattern.compile(
                    "(.+)\\.(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\\.bitsandbytes__(.*))");
    private static final ValueLayout.OfFloat FLOAT =
            ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /** Bytes of the longest quant_state; those in use have some 170. */
    private static final int MAX_STATE = 1 << 16;

    private final Checkpoint checkpoint;
    private final Map<String, String> typeOf = new LinkedHashMap<>();
    private final Set<String> plain = new LinkedHashSet<>();

    private Bnb4bit(Checkpoint checkpoint) {
        this.checkpoint = checkpoint;
    }

    /**
     * Finds the quantized weights by their keys; a checkpoint may well have none.
     *
     * @throws FormatException if a weight has two states, a type other than nf4 and fp4, or tensors
     *     that belong to a quantized weight but no state or no codes; or if others are in 8 bits
     */
    public static Bnb4bit of(Checkpoint checkpoint) {
        BnbInt8.refuse(checkpoint);
        return besideInt8(checkpoint);
    }

    /** As {@link #of}, of a checkpoint that may hold weights in 8 bits, {@link BnbInt8}. */
    public static Bnb4bit besideInt8(Checkpoint checkpoint) {
        var found = new Bnb4bit(checkpoint);
        for (String key : checkpoint.names()) {
            Matcher side = SIDE_KEY.matcher(key);
            if (!side.matches()) {
                found.plain.add(key);
            } else if (side.group(3) != null) {
                found.addState(key, side.group(1), side.group(3));
            }
        }
        for (String key : checkpoint.names()) {
            Matcher side = SIDE_KEY.matcher(key);
            if (side.matches() && !found.typeOf.containsKey(side.group(1))) {
                throw found.error(
                        key,
                        "has no %s.quant_state.bitsandbytes__nf4 beside it"
                                .formatted(side.group(1)));
            }
        }
        found.plain.removeAll(found.typeOf.keySet());
        return found;
    }

    private void addState(String key, String weight, String type) {
        if (!type.equals("nf4") && !type.equals("fp4")) {
            throw error(
                    key,
                    "names the type '%s'; nf4 and fp4 are read".formatted(StrictJson.clip(type)));
        }
        if (typeOf.put(weight, type) != null) {
            throw error(key, "is a second quant_state of " + weight);
        }
        if (!checkpoint.has(weight)) {
            throw error(key, "has no codes, " + weight + ", beside it");
        }
    }

    /** Keys of the quantized weights, e.g. {@code model.layers.0.self_attn.q_proj.weight}. */
    public Set<String> weights() {
        return Collections.unmodifiableSet(typeOf.keySet());
    }

    /** Whether the weight of this key is quantized. */
    public boolean has(String weight) {
        return typeOf.containsKey(weight);
    }

    /**
     * Keys of all tensors that have nothing to do with quantization: norms, embeddings, biases, the
     * head.
     */
    public Set<String> plain() {
        return Collections.unmodifiableSet(plain);
    }

    /**
     * Reads a quantized weight and checks that its parts fit each other. Whether {@code quantMap}
     * is that of the type, and the shape that of the layer, is the caller's to check.
     *
     * @param arena as for {@link Checkpoint#read}
     */
    public StoredQuantized read(String weight, Arena arena) {
        String type = typeOf.get(weight);
        if (type == null) {
            throw error(weight, "is not quantized: it has no quant_state");
        }
        String key = weight + ".quant_state.bitsandbytes__" + type;
        StoredTensor stateTensor = part(key, StoredType.U8, -1, arena);
        if (stateTensor.data().byteSize() > MAX_STATE) {
            throw error(
                    key,
                    "has %d bytes, more than %d"
                            .formatted(stateTensor.data().byteSize(), MAX_STATE));
        }
        String text = StrictJson.utf8(stateTensor.file(), key, stateTensor.data());
        BnbQuantState state = BnbQuantState.parse(stateTensor.file(), key, type, text);
        long elements = StoredType.elements(state.shape());
        long blocks = Math.ceilDiv(elements, state.blockSize());
        Float offset = state.nestedOffset();
        MemorySegment absmax =
                part(
                                weight + ".absmax",
                                offset == null ? StoredType.F32 : StoredType.U8,
                                blocks,
                                arena)
                        .data();
        return new StoredQuantized(
                weight,
                type,
                state.blockSize(),
                state.dtype(),
                state.shape(),
                codes(weight, Math.ceilDiv(elements, 2), arena),
                absmax,
                offset == null ? noNested(weight) : nested(weight, offset, blocks, arena),
                floats(weight + ".quant_map", 16, arena));
    }

    /**
     * Codes [bytes, 1], or [1, bytes] as older versions have it, in elements of any type (the
     * quant_storage).
     */
    private MemorySegment codes(String weight, long bytes, Arena arena) {
        StoredTensor codes = checkpoint.read(weight, arena);
        long[] shape = codes.shape();
        boolean column = shape.length == 2 && (shape[0] == 1 || shape[1] == 1);
        if (!column || codes.data().byteSize() != bytes) {
            throw error(
                    weight,
                    "has %d bytes in the shape %s, its quant_state calls for one column of %d"
                            .formatted(codes.data().byteSize(), Arrays.toString(shape), bytes));
        }
        return codes.data();
    }

    private StoredQuantized.Nested nested(String weight, float offset, long blocks, Arena arena) {
        int size = BnbQuantState.NESTED_BLOCK_SIZE;
        MemorySegment absmax =
                part(weight + ".nested_absmax", StoredType.F32, Math.ceilDiv(blocks, size), arena)
                        .data();
        float[] map = floats(weight + ".nested_quant_map", 256, arena);
        for (int i = 1; i < map.length; i++) {
            if (!(map[i - 1] < map[i])) {
                throw error(
                        weight + ".nested_quant_map",
                        "must be ascending, but is not at entry " + i);
            }
        }
        return new StoredQuantized.Nested(absmax, offset, map, size);
    }

    private StoredQuantized.@Nullable Nested noNested(String weight) {
        for (String key : new String[] {weight + ".nested_absmax", weight + ".nested_quant_map"}) {
            if (checkpoint.has(key)) {
                throw error(key, "is there, but the quant_state has no nested_offset");
            }
        }
        return null;
    }

    private float[] floats(String key, int count, Arena arena) {
        float[] floats = part(key, StoredType.F32, count, arena).data().toArray(FLOAT);
        for (float value : floats) {
            if (!Float.isFinite(value)) {
                throw error(key, "must hold finite numbers, has " + value);
            }
        }
        return floats;
    }

    /** A tensor of one dimension; {@code count} is its length, or negative for any. */
    private StoredTensor part(String key, StoredType type, long count, Arena arena) {
        if (!checkpoint.has(key)) {
            throw error(key, "is missing");
        }
        StoredTensor tensor = checkpoint.read(key, arena);
        boolean fits = tensor.shape().length == 1 && (count < 0 || tensor.shape()[0] == count);
        if (tensor.type() != type || !fits) {
            throw error(
                    key,
                    "is %s %s, its quant_state calls for %s [%s]"
                            .formatted(
                                    tensor.type(),
                                    Arrays.toString(tensor.shape()),
                                    type,
                                    count < 0 ? "bytes" : Long.toString(count)));
        }
        return tensor;
    }

    private FormatException error(String key, String what) {
        return FormatException.of(
                "%s: bitsandbytes tensor %s %s; fetch the checkpoint again, or use the unquantized model",
                checkpoint.folder(), key, what);
    }

    /** Adds all tensors of a quantized weight to a file, as bitsandbytes writes them. */
    public static void add(TensorWriter writer, StoredQuantized weight) {
        String name = weight.name();
        StoredQuantized.Nested nested = weight.nested();
        var state =
                new BnbQuantState(
                        weight.quantType(),
                        weight.blockSize(),
                        weight.dtype(),
                        weight.shape(),
                        nested == null ? null : nested.offset());
        byte[] json = state.toJson().getBytes(StandardCharsets.UTF_8);
        long blocks = Math.ceilDiv(StoredType.elements(weight.shape()), weight.blockSize());
        writer.add(name, StoredType.U8, new long[] {weight.codes().byteSize(), 1}, weight.codes());
        writer.add(name + ".absmax", weight.absmaxType(), new long[] {blocks}, weight.absmax());
        addFloats(writer, name + ".quant_map", weight.quantMap());
        if (nested != null) {
            long nestedBlocks = Math.ceilDiv(blocks, nested.blockSize());
            writer.add(
                    name + ".nested_absmax",
                    StoredType.F32,
                    new long[] {nestedBlocks},
                    nested.absmax());
            addFloats(writer, name + ".nested_quant_map", nested.map());
        }
        writer.add(
                name + ".quant_state.bitsandbytes__" + weight.quantType(),
                StoredType.U8,
                new long[] {json.length},
                MemorySegment.ofArray(json));
    }

    private static void addFloats(TensorWriter writer, String name, float[] values) {
        var bytes = new byte[4 * values.length];
        MemorySegment segment = MemorySegment.ofArray(bytes);
        MemorySegment.copy(values, 0, segment, FLOAT, 0, values.length);
        writer.add(name, StoredType.F32, new long[] {values.length}, segment);
    }
}
