package org.qlora4j.export;

import static org.qlora4j.error.Require.require;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.AtomicFolder;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.StoredType;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.ConfigException;
import org.qlora4j.family.Families;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.model.ModelShape;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.tokenize.TokenizerCut;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Makes a smaller model out of a larger one's tensors: structured pruning (arXiv 2407.14679), which
 * leaves whole layers, channels and tokens away. What is left is a model of its own that has lost
 * most of its skill, and gets it back by training, best from the larger one's logits.
 *
 * <p>Channels are ranked by their weights alone. One of an MLP counts as the product of the norms
 * of its row in gate and up and its column in down, one of the residual stream as the norm of all
 * that writes to it: its column of the embedding, its rows of o_proj and down_proj.
 */
public final class Shrinker {
    /** Families whose weights it knows: those of LLaMA's names and norms. */
    private static final Set<String> FAMILIES = Set.of("llama", "mistral", "qwen2", "qwen3");

    private static final Pattern IN_LAYER = Pattern.compile("model\\.layers\\.(\\d+)\\.(.+)");

    private final Checkpoint checkpoint;
    private final Bnb4bit in4bits;
    private final ModelShape config;
    private final List<Integer> layers;
    private final int @Nullable [] vocabulary;
    private final int @Nullable [] hidden;
    private final Map<Integer, int[]> inner = new TreeMap<>();

    /**
     * @param before weights of the larger model
     * @param after weights of the smaller one
     */
    public record Result(long before, long after) {}

    private Shrinker(
            Checkpoint checkpoint, ModelShape config, ShrinkConfig shrink, int @Nullable [] rows) {
        this.checkpoint = checkpoint;
        this.in4bits = Bnb4bit.of(checkpoint);
        this.config = config;
        this.vocabulary = rows;
        List<Integer> chosen = shrink.layers();
        this.layers =
                chosen != null ? chosen : IntStream.range(0, config.layers()).boxed().toList();
        Integer width = shrink.hiddenSize();
        this.hidden =
                width == null || width == config.hiddenSize() ? null : largest(residual(), width);
        Integer innerWidth = shrink.intermediateSize();
        if (innerWidth != null && innerWidth != config.facts().intermediateSize()) {
            layers.forEach(layer -> inner.put(layer, largest(innerOf(layer), innerWidth)));
        }
    }

    /**
     * Writes the smaller model.
     *
     * @param source folder in the layout of Hugging Face, or a {@code .gguf} file in one
     * @param target a folder that does not exist yet
     * @throws ConfigException if the larger model does not have what should be kept
     */
    public static Result shrink(Path source, ShrinkConfig shrink, Path target) {
        if (Files.exists(target)) {
            throw ConfigException.of("%s exists; name a new folder for the smaller model", target);
        }
        return Engine.call(() -> {
            ModelPlace place = ModelPlace.of(source);
            try (Checkpoint checkpoint = place.open();
                    TensorScope scope = TensorScope.open()) {
                Path folder = place.folder();
                ModelShape config = place.shape();
                check(shrink, config);
                Integer size = shrink.vocabularySize();
                TokenizerCut cut = size == null ? null : TokenizerCut.plan(folder, size);
                int[] rows = cut == null ? null : cut.keptIds();
                Shrinker shrinker = new Shrinker(checkpoint, config, shrink, rows);
                try (AtomicFolder building = AtomicFolder.begin(target.toAbsolutePath())) {
                    shrinker.writeWeights(building.path());
                    shrinker.writeConfig(folder, cut, building.path());
                    writeTokenizer(folder, cut, building.path());
                    building.commit();
                }
                return new Result(config.parameterCount(), Families.shape(target).parameterCount());
            }
        });
    }

    private static void check(ShrinkConfig shrink, ModelShape config) {
        require(
                FAMILIES.contains(config.facts().type()),
                "models of type %s cannot be shrunk, whose channels are ranked otherwise; shrinkable are %s",
                config.facts().type(),
                String.join(", ", new TreeSet<>(FAMILIES)));
        List<Integer> layers = shrink.layers();
        if (layers != null) {
            require(!layers.isEmpty(), "layers must name at least one layer");
            for (int i = 0; i < layers.size(); i++) {
                require(
                        layers.get(i) >= (i == 0 ? 0 : layers.get(i - 1) + 1)
                                && layers.get(i) < config.layers(),
                        "layers must rise from 0 to at most %d, the last of the model, got %s",
                        config.layers() - 1,
                        layers);
            }
        }
        checkWidth("hidden size", shrink.hiddenSize(), config.hiddenSize());
        checkWidth(
                "intermediate size", shrink.intermediateSize(), config.facts().intermediateSize());
    }

    private static void checkWidth(String name, @Nullable Integer width, int whole) {
        require(
                width == null || (width >= 1 && width <= whole),
                "%s must be from 1 to %d, that of the model, got %s",
                name,
                whole,
                String.valueOf(width));
    }

    private void writeWeights(Path folder) {
        SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
        List<String> names = new ArrayList<>(in4bits.plain());
        names.addAll(in4bits.weights());
        for (String name : names) {
            Matcher inLayer = IN_LAYER.matcher(name);
            int layer = inLayer.matches() ? Integer.parseInt(inLayer.group(1)) : -1;
            if (layer >= 0 && !layers.contains(layer)) {
                continue;
            }
            String newName =
                    layer < 0
                            ? name
                            : "model.layers." + layers.indexOf(layer) + "." + inLayer.group(2);
            try (TensorScope scope = TensorScope.open()) { // for its type and shape alone
                Tensor kept = keep(name, layer);
                writer.add(
                        newName,
                        StoredType.valueOf(kept.dtype().name()),
                        kept.shape(),
                        sink -> {
                            try (Arena arena = Arena.ofConfined();
                                    TensorScope again = TensorScope.open()) {
                                sink.accept(Tensors.copyOf(keep(name, layer), arena));
                            }
                        });
            }
        }
        writer.write(folder.resolve(Checkpoint.MODEL_FILE));
    }

    /** What stays of a tensor. */
    private Tensor keep(String name, int layer) {
        Tensor weight = read(name);
        int @Nullable [] innerKept = inner.get(layer);
        String part = name.replaceFirst("\\.(weight|bias)$", "");
        part = part.substring(part.lastIndexOf('.') + 1);
        return switch (part) {
            case "embed_tokens", "lm_head" -> select(select(weight, 0, vocabulary), 1, hidden);
            case "q_proj", "k_proj", "v_proj" ->
                    weight.rank() == 1 ? weight : select(weight, 1, hidden);
            case "o_proj" -> select(weight, 0, hidden);
            case "gate_proj", "up_proj" ->
                    weight.rank() == 1
                            ? select(weight, 0, innerKept)
                            : select(select(weight, 0, innerKept), 1, hidden);
            case "down_proj" ->
                    weight.rank() == 1
                            ? select(weight, 0, hidden)
                            : select(select(weight, 0, hidden), 1, innerKept);
            case "norm", "input_layernorm", "post_attention_layernorm" -> select(weight, 0, hidden);
            default -> weight; // norms of heads, for one
        };
    }

    private static Tensor select(Tensor weight, int dim, int @Nullable [] kept) {
        return kept == null ? weight : weight.indexSelect(dim, Tensors.of(kept, kept.length));
    }

    private Tensor read(String name) {
        try (Arena arena = Arena.ofConfined()) {
            if (in4bits.has(name)) {
                try (var matrix =
                        TensorBytes.toMatrix(in4bits.read(name, arena), checkpoint.folder())) {
                    return matrix.dequantize(DType.F32);
                }
            }
            return TensorBytes.toTensor(checkpoint.read(name, arena));
        }
    }

    /** How much each inner channel of a layer's MLP counts. */
    private float[] innerOf(int layer) {
        try (TensorScope scope = TensorScope.open()) {
            String p = "model.layers." + layer + ".";
            Tensor gain = read(p + "post_attention_layernorm.weight").to(DType.F32);
            Tensor gate = read(p + "mlp.gate_proj.weight").to(DType.F32).times(gain);
            Tensor up = read(p + "mlp.up_proj.weight").to(DType.F32).times(gain);
            Tensor down = read(p + "mlp.down_proj.weight").to(DType.F32);
            return gate.square()
                    .sum(1, false)
                    .times(up.square().sum(1, false))
                    .times(down.square().sum(0, false))
                    .toFloats();
        }
    }

    /** How much each channel of the residual stream counts. */
    private float[] residual() {
        try (TensorScope scope = TensorScope.open()) {
            Tensor sum = select(read("model.embed_tokens.weight"), 0, vocabulary).to(DType.F32);
            sum = sum.square().sum(0, false);
            for (int layer : layers) {
                String p = "model.layers." + layer + ".";
                for (String writes : List.of("self_attn.o_proj", "mlp.down_proj")) {
                    Tensor w = read(p + writes + ".weight").to(DType.F32);
                    sum = sum.plus(w.square().sum(1, false));
                }
            }
            return sum.toFloats();
        }
    }

    /** Places of the largest values, rising. */
    private static int[] largest(float[] values, int count) {
        return IntStream.range(0, values.length)
                .boxed()
                .sorted((a, b) -> Float.compare(values[b], values[a]))
                .limit(count)
                .mapToInt(Integer::intValue)
                .sorted()
                .toArray();
    }

    private void writeConfig(Path source, @Nullable TokenizerCut cut, Path folder) {
        ObjectNode json = ModelFolder.readConfig(source);
        json.put("num_hidden_layers", layers.size());
        json.put("head_dim", config.facts().headDim()); // else it would follow from the hidden size
        keepLayerTypes(json);
        if (hidden != null) {
            json.put("hidden_size", hidden.length);
        }
        if (!inner.isEmpty()) {
            json.put("intermediate_size", inner.values().iterator().next().length);
        }
        if (cut != null) {
            json.put("vocab_size", cut.keptIds().length);
            cut.renumberNamed(json);
        }
        json.remove("quantization_config");
        ModelFolder.writeConfig(json, folder);
    }

    /** Each layer keeps its window, or none, at its new number. */
    private void keepLayerTypes(ObjectNode json) {
        ArrayNode kept = json.arrayNode();
        if (json.get("layer_types") instanceof ArrayNode types) {
            layers.forEach(layer -> kept.add(types.get(layer)));
            json.set("layer_types", kept);
        } else if (json.path("use_sliding_window").asBoolean(false)) {
            int first = json.path("max_window_layers").asInt(0);
            layers.forEach(layer -> kept.add((layer >= first ? "sliding" : "full") + "_attention"));
            json.set("layer_types", kept);
        }
    }

    private static void writeTokenizer(Path source, @Nullable TokenizerCut cut, Path folder) {
        if (cut == null) {
            ModelFolder.copyCompanions(source, folder, ModelFolder.COMPANIONS);
            return;
        }
        Map<String, String> files = cut.files(source);
        files.forEach((name, text) -> AtomicFiles.writeText(folder.resolve(name), text));
        ModelFolder.copyCompanions(
                source, folder, List.of("chat_template.jinja", "special_tokens_map.json"));
    }
}
