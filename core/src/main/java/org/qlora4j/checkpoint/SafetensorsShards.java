package org.qlora4j.checkpoint;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;

/**
 * Writes a model's tensors as Hugging Face names them: {@code model.safetensors}, or where that
 * would be too large {@code model-00001-of-00003.safetensors} and the like with {@code
 * model.safetensors.index.json}. Tensors fill the files in the order in which they were added, as
 * huggingface_hub 1.0's {@code split_torch_state_dict_into_shards} lays them out.
 */
public final class SafetensorsShards implements TensorWriter {
    /** Bytes of tensors in one file, as most models on the hub are cut. */
    public static final long SHARD_BYTES = 5_000_000_000L;

    private static final JsonMapper JSON =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Entry(String name, StoredType type, long[] shape, Source source) {
        long bytes() {
            return type.bytesOf(shape);
        }
    }

    private final List<Entry> entries = new ArrayList<>();
    private final long limit;

    /**
     * @param limit bytes of tensors in one file; a larger tensor has a file of its own
     */
    public SafetensorsShards(long limit) {
        this.limit = limit;
    }

    @Override
    public SafetensorsShards add(String name, StoredType type, long[] shape, Source source) {
        entries.add(new Entry(name, type, shape.clone(), source));
        return this;
    }

    /** Bytes of all tensors. */
    public long bytes() {
        return entries.stream().mapToLong(Entry::bytes).sum();
    }

    /**
     * Writes the files into an existing folder.
     *
     * @return how many hold tensors
     */
    public int write(Path folder) {
        List<List<Entry>> shards = shards();
        if (shards.size() == 1) {
            write(shards.getFirst(), folder.resolve(Checkpoint.MODEL_FILE));
            return 1;
        }
        Map<String, String> weightMap = new TreeMap<>();
        for (int i = 0; i < shards.size(); i++) {
            String name = "model-%05d-of-%05d.safetensors".formatted(i + 1, shards.size());
            write(shards.get(i), folder.resolve(name));
            shards.get(i).forEach(entry -> weightMap.put(entry.name, name));
        }
        Map<String, Object> index = new TreeMap<>();
        index.put("metadata", Map.of("total_size", bytes()));
        index.put("weight_map", weightMap);
        AtomicFiles.writeText(
                folder.resolve(Checkpoint.INDEX_FILE), JSON.writeValueAsString(index) + "\n");
        return shards.size();
    }

    private List<List<Entry>> shards() {
        List<List<Entry>> shards = new ArrayList<>();
        List<Entry> shard = new ArrayList<>();
        long held = 0;
        for (Entry entry : entries) {
            if (!shard.isEmpty() && held + entry.bytes() > limit) {
                shards.add(shard);
                shard = new ArrayList<>();
                held = 0;
            }
            shard.add(entry);
            held += entry.bytes();
        }
        shards.add(shard);
        return shards;
    }

    private static void write(List<Entry> shard, Path file) {
        SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
        shard.forEach(e -> writer.add(e.name, e.type, e.shape, e.source));
        writer.write(file);
    }
}
