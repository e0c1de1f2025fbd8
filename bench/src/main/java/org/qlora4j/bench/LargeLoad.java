package org.qlora4j.bench;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.SplittableRandom;
import org.qlora4j.checkpoint.SafetensorsShards;
import org.qlora4j.checkpoint.StoredType;
import org.qlora4j.family.Models;
import org.qlora4j.family.NamedShapes;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.ModelShape;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.ResidentMemory;

/**
 * The memory that a process takes which loads LLaMA 7B in 4 bits from shards in bf16. The
 * checkpoint has random weights and 13 GB. Making it and loading it are processes of their own:
 *
 * <pre>LargeLoad make DIR        LargeLoad load DIR f32|bf16</pre>
 */
final class LargeLoad {
    private static final String CONFIG =
            """
            {"model_type": "llama", "vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32,
             "intermediate_size": 11008, "num_attention_heads": 32, "num_key_value_heads": 32,
             "rms_norm_eps": 1e-6, "bos_token_id": 1, "eos_token_id": 2}
            """;

    private LargeLoad() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[1]);
        if (arguments[0].equals("make")) {
            make(folder);
        } else {
            load(folder, DType.valueOf(arguments[2].toUpperCase(Locale.ROOT)));
        }
    }

    private static void load(Path folder, DType compute) {
        long start = System.nanoTime();
        OptionalLong before = ResidentMemory.current();
        try (CausalModel model =
                Engine.open(() -> Models.load(folder, QuantConfig.DEFAULT, compute))) {
            System.out.printf(
                    Locale.ROOT,
                    "%s: weights %.2f GiB; resident %.2f GiB before, %.2f now, %.2f at most; %.0f s%n",
                    compute,
                    gib(OptionalLong.of(model.byteSize())),
                    gib(before),
                    gib(ResidentMemory.current()),
                    gib(ResidentMemory.peak()),
                    (System.nanoTime() - start) / 1e9);
            Engine.run(model::close);
        }
    }

    private static double gib(OptionalLong bytes) {
        return bytes.orElse(0) / (double) (1 << 30);
    }

    private static void make(Path folder) throws IOException {
        Files.createDirectories(folder);
        Map<String, List<Long>> sizes = new LinkedHashMap<>();
        ModelShape shape = NamedShapes.named("llama-7b").orElseThrow();
        shape.others().forEach(w -> sizes.put(w.name(), w.sizes()));
        shape.linears().forEach(l -> sizes.put(l.path() + ".weight", List.of(l.out(), l.in())));
        SafetensorsShards shards = new SafetensorsShards(SafetensorsShards.SHARD_BYTES);
        try (Arena arena = Arena.ofShared()) {
            MemorySegment values = random(arena);
            sizes.forEach((name, size) ->
                    shards.add(
                            name,
                            StoredType.BF16,
                            size.stream().mapToLong(Long::longValue).toArray(),
                            values.asSlice(
                                    2L * Math.floorMod(name.hashCode(), 1 << 20),
                                    2 * count(size))));
            shards.write(folder);
        }
        Files.writeString(folder.resolve("config.json"), CONFIG);
        System.out.printf(Locale.ROOT, "%s: %.1f GB%n", folder, shards.bytes() / 1e9);
    }

    private static long count(List<Long> sizes) {
        return sizes.stream().reduce(1L, (a, b) -> a * b);
    }

    /** Normal numbers of deviation 0.02 in bf16, enough for the largest weight at any start. */
    private static MemorySegment random(Arena arena) {
        long count = 32000L * 4096 + (1 << 20);
        MemorySegment values = arena.allocate(2 * count, 64);
        SplittableRandom random = new SplittableRandom(7);
        for (long i = 0; i < count; i++) {
            float value = (float) (0.02 * (random.nextDouble() + random.nextDouble() - 1) * 2.4);
            values.setAtIndex(
                    ValueLayout.JAVA_SHORT, i, (short) (Float.floatToRawIntBits(value) >>> 16));
        }
        return values;
    }
}
