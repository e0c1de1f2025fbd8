package org.qlora4j.export;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.GgufNames;
import org.qlora4j.checkpoint.GgufTensors;
import org.qlora4j.checkpoint.GgufType;
import org.qlora4j.checkpoint.GgufWriter;
import org.qlora4j.checkpoint.StoredTensor;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.checkpoint.TensorWriter;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.RopeScaling;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.tokenize.GgufVocabulary;
import org.qlora4j.tokenize.Tokenizer;
import tools.jackson.databind.JsonNode;

/**
 * A model as one GGUF file (llama.cpp, docs/gguf.md), with tokenizer and chat template: weights are
 * read, reordered, encoded and written one at a time.
 *
 * @param weights under Hugging Face's names
 * @param shape of the model
 * @param folder with its config, tokenizer and chat template
 * @param name that the file gives the model
 */
record GgufExport(Checkpoint weights, ModelShape shape, Path folder, String name) {
    private static final Pattern LAYER = Pattern.compile("blk\\.(\\d+)\\..+");

    /**
     * Writes the file, replacing one of that name; on the engine's thread.
     *
     * @return what the file cannot say, for people; empty if it says all
     */
    List<String> write(GgufFormat format, Path file) {
        GgufNames names = GgufNames.ofModelType(shape.facts().type());
        ConfigFile config = ConfigFile.of(folder.resolve("config.json"));
        List<String> notices = new ArrayList<>();
        GgufWriter writer = new GgufWriter();
        writer.put("general.architecture", names.architecture());
        writer.put("general.type", "model");
        writer.put("general.name", name);
        writer.put("general.file_type", format.fileType());
        writer.put("general.quantization_version", 2);
        putSizes(writer, names.architecture(), config);
        float[] divisors = putRope(writer, names.architecture(), config);
        putTokenizer(writer, notices);
        if (divisors != null) {
            MemorySegment values = MemorySegment.ofArray(divisors);
            writer.add(
                    GgufNames.ROPE_FREQUENCIES,
                    GgufType.F32,
                    new long[] {divisors.length},
                    sink -> GgufTensors.encode(GgufType.F32, values, divisors.length, sink));
        }
        weights.names().forEach(tensor -> add(writer, names, format, tensor));
        if (config.node("sliding_window") != null
                && (config.node("use_sliding_window") == null
                        || config.flag("use_sliding_window"))) {
            notices.add(
                    "llama.cpp computes %s without the window of %s positions that config.json names; texts beyond it differ"
                            .formatted(names.architecture(), config.node("sliding_window")));
        }
        writer.write(file);
        return notices;
    }

    private int rows() {
        return Math.toIntExact(weights.info("model.embed_tokens.weight").shape()[0]);
    }

    private void putSizes(GgufWriter writer, String arch, ConfigFile config) {
        ModelFacts facts = shape.facts();
        writer.put(arch + ".vocab_size", rows());
        writer.put(arch + ".context_length", facts.maxPositions());
        writer.put(arch + ".embedding_length", facts.hiddenSize());
        writer.put(arch + ".block_count", facts.layers());
        writer.put(arch + ".feed_forward_length", facts.intermediateSize());
        writer.put(arch + ".attention.head_count", facts.heads());
        writer.put(arch + ".attention.head_count_kv", facts.kvHeads());
        writer.put(arch + ".attention.key_length", facts.headDim());
        writer.put(arch + ".attention.value_length", facts.headDim());
        writer.put(
                arch + ".attention.layer_norm_rms_epsilon",
                (float) config.number("rms_norm_eps", 1e-6));
    }

    /** The rotary keys; and the divisors of the frequencies where they stand in a tensor. */
    private float @Nullable [] putRope(GgufWriter writer, String arch, ConfigFile config) {
        ModelFacts facts = shape.facts();
        JsonNode both = config.object("rope_parameters");
        JsonNode scaling = both != null ? both : config.object("rope_scaling");
        ConfigFile rope = new ConfigFile(config.file(), scaling == null ? config.root() : scaling);
        double theta = rope.number("rope_theta", config.number("rope_theta", 10000));
        writer.put(arch + ".rope.dimension_count", facts.headDim());
        writer.put(arch + ".rope.freq_base", (float) theta);
        String type =
                scaling == null ? "default" : rope.type("rope_type", rope.type("type", "default"));
        switch (type) {
            case "default" -> {}
            case "linear", "yarn" -> {
                writer.put(arch + ".rope.scaling.type", type);
                writer.put(arch + ".rope.scaling.factor", (float) rope.needed("factor"));
                if (type.equals("yarn")) {
                    writer.put(
                            arch + ".rope.scaling.original_context_length",
                            rope.positive(
                                    "original_max_position_embeddings", facts.maxPositions()));
                }
            }
            case "llama3" -> {
                var llama3 =
                        new RopeScaling.Llama3(
                                rope.needed("factor"),
                                rope.needed("low_freq_factor"),
                                rope.needed("high_freq_factor"),
                                rope.number(
                                        "original_max_position_embeddings", facts.maxPositions()));
                float[] plain = new RopeScaling.Default().frequencies(facts.headDim(), theta, 0, 0);
                float[] scaled = llama3.frequencies(facts.headDim(), theta, 0, 0);
                float[] divisors = new float[plain.length];
                for (int i = 0; i < divisors.length; i++) {
                    divisors[i] = plain[i] / scaled[i];
                }
                return divisors;
            }
            default ->
                    throw FormatException.of(
                            "%s: rope_type %s has no form in GGUF for %s models; use --format hf",
                            config.file(), type, facts.type());
        }
        return null;
    }

    private void putTokenizer(GgufWriter writer, List<String> notices) {
        GgufVocabulary vocabulary = GgufVocabulary.of(folder, rows());
        String key = "tokenizer.ggml.";
        writer.put(key + "model", vocabulary.model());
        writer.put(key + "pre", vocabulary.pre().isEmpty() ? "default" : vocabulary.pre());
        writer.put(key + "tokens", vocabulary.tokens());
        writer.put(key + "token_type", vocabulary.types());
        if (vocabulary.model().equals("llama")) {
            writer.put(key + "scores", vocabulary.scores());
            writer.put(key + "add_space_prefix", vocabulary.spacePrefix());
        } else {
            writer.put(key + "merges", vocabulary.merges());
        }
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            putSpecial(writer, tokenizer, notices);
            tokenizer
                    .chatTemplate()
                    .ifPresent(template -> writer.put("tokenizer.chat_template", template.text()));
        }
    }

    private void putSpecial(GgufWriter writer, Tokenizer tokenizer, List<String> notices) {
        List<Integer> stops = new ArrayList<>(StopTokens.of(shape.eosIds(), tokenizer));
        OptionalInt eos = tokenizer.eosId();
        if (eos.isPresent()) { // the usual one first
            stops.remove(Integer.valueOf(eos.getAsInt()));
            stops.addFirst(eos.getAsInt());
        }
        String[] keys = {"eos", "eot", "eom"};
        for (int i = 0; i < Math.min(keys.length, stops.size()); i++) {
            writer.put("tokenizer.ggml." + keys[i] + "_token_id", stops.get(i));
        }
        for (int i = keys.length; i < stops.size(); i++) {
            notices.add(
                    "GGUF names three stop tokens; %s is left to be found by its text"
                            .formatted(tokenizer.token(stops.get(i)).orElse("")));
        }
        tokenizer.bosId().ifPresent(id -> writer.put("tokenizer.ggml.bos_token_id", id));
        tokenizer.unkId().ifPresent(id -> writer.put("tokenizer.ggml.unknown_token_id", id));
        tokenizer.padId().ifPresent(id -> writer.put("tokenizer.ggml.padding_token_id", id));
        writer.put("tokenizer.ggml.add_bos_token", tokenizer.addsBos());
        int[] around = tokenizer.encode("a", true);
        boolean addsEos =
                eos.isPresent() && around.length > 1 && around[around.length - 1] == eos.getAsInt();
        writer.put("tokenizer.ggml.add_eos_token", addsEos);
    }

    private void add(GgufWriter writer, GgufNames names, GgufFormat format, String tensor) {
        if (tensor.endsWith("rotary_emb.inv_freq")) { // follows from the config
            return;
        }
        boolean spareHead = tensor.equals("lm_head.weight") && !shape.hasOwnHead();
        if (spareHead) { // the table again
            return;
        }
        String gguf = names.toGguf(tensor);
        if (gguf == null) {
            throw FormatException.of(
                    "%s: tensor %s has no name in GGUF's %s; use --format hf",
                    weights.folder(), tensor, names.architecture());
        }
        long[] size = weights.info(tensor).shape();
        Matcher layer = LAYER.matcher(gguf);
        boolean isHead = tensor.equals(shape.headTable());
        GgufType type =
                format.typeOf(
                        gguf,
                        size,
                        layer.matches() ? Integer.parseInt(layer.group(1)) : -1,
                        shape.layers(),
                        isHead);
        writer.add(gguf, type, size, sink -> encode(tensor, names, type, size, sink));
    }

    private void encode(
            String tensor, GgufNames names, GgufType type, long[] size, TensorWriter.Sink sink)
            throws IOException {
        ModelFacts facts = shape.facts();
        long heads = names.interleavedHeads(tensor, facts.heads(), facts.kvHeads());
        try (TensorScope scope = TensorScope.open();
                Arena arena = Arena.ofConfined()) {
            StoredTensor stored = weights.read(tensor, arena);
            Tensor values = TensorBytes.toTensor(stored).to(DType.F32);
            MergedCheckpoint.release(stored.data());
            if (heads > 0) {
                values = values.indexSelect(0, order(size[0], heads));
            }
            MemorySegment bytes = Tensors.copyOf(values, arena);
            GgufTensors.encode(type, bytes, size[size.length - 1], sink);
        }
    }

    /** Rows of the file by their places in Hugging Face's order. */
    static Tensor order(long rows, long heads) {
        long[] order = new long[Math.toIntExact(rows)];
        for (int row = 0; row < order.length; row++) {
            order[row] = GgufNames.huggingFaceRow(row, rows, heads);
        }
        return Tensors.of(order, order.length);
    }
}
