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
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.GgufTensors;
import org.qlora4j.checkpoint.GgufType;
import org.qlora4j.checkpoint.GgufWriter;
import org.qlora4j.checkpoint.StoredTensor;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.checkpoint.TensorWriter;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.GgufKeys;
import org.qlora4j.family.GgufLayout;
import org.qlora4j.model.ModelShape;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.tokenize.GgufVocabulary;
import org.qlora4j.tokenize.Tokenizer;

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
        GgufLayout layout = GgufLayout.of(shape);
        String architecture = layout.names().architecture();
        List<String> notices = new ArrayList<>();
        GgufWriter writer = new GgufWriter();
        int rows = rows(layout);
        GgufVocabulary vocabulary = GgufVocabulary.of(folder, rows);
        writer.put("general.architecture", architecture);
        writer.put("general.type", "model");
        writer.put("general.name", vocabulary.modelName(name));
        writer.put("general.file_type", format.fileType());
        writer.put("general.quantization_version", 2);
        new GgufKeys(writer, architecture, shape, notices).put(rows);
        putTokenizer(writer, vocabulary, notices);
        boolean pictures = false;
        for (String tensor : weights.names()) {
            if (GgufLayout.isOfPictures(tensor)) {
                pictures = true;
            } else {
                add(writer, layout, format, tensor);
            }
        }
        if (pictures) {
            notices.add(
                    "the file has the text model alone, without the weights that read pictures");
        }
        writer.write(file);
        return notices;
    }

    /** Rows of the embedding table. */
    private int rows(GgufLayout layout) {
        String table =
                weights.names().stream()
                        .filter(tensor -> GgufFormat.TABLE.equals(layout.name(tensor)))
                        .findFirst()
                        .orElseThrow(() ->
                                FormatException.of(
                                        "%s has no table of embeddings; is it a model's folder?",
                                        weights.folder()));
        return Math.toIntExact(weights.info(table).shape()[0]);
    }

    private void putTokenizer(GgufWriter writer, GgufVocabulary vocabulary, List<String> notices) {
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

    private void add(GgufWriter writer, GgufLayout layout, GgufFormat format, String tensor) {
        String gguf = layout.name(tensor);
        boolean spareHead = GgufFormat.HEAD.equals(gguf) && !shape.hasOwnHead();
        if (Checkpoint.isBuffer(tensor) || spareHead) { // follows from the config; the table again
            return;
        }
        if (gguf == null) {
            throw FormatException.of(
                    "%s: tensor %s has no name in GGUF's %s; use --format hf",
                    weights.folder(), tensor, layout.names().architecture());
        }
        long[] size = layout.size(tensor, weights.info(tensor).shape());
        Matcher layer = LAYER.matcher(gguf);
        GgufType type =
                format.typeOf(
                        gguf,
                        size,
                        layer.matches() ? Integer.parseInt(layer.group(1)) : -1,
                        shape.facts(),
                        gguf.equals(shape.hasOwnHead() ? GgufFormat.HEAD : GgufFormat.TABLE));
        writer.add(gguf, type, size, sink -> encode(tensor, layout, type, size, sink));
    }

    private void encode(
            String tensor, GgufLayout layout, GgufType type, long[] size, TensorWriter.Sink sink)
            throws IOException {
        try (TensorScope scope = TensorScope.open();
                Arena arena = Arena.ofConfined()) {
            StoredTensor stored = weights.read(tensor, arena);
            Tensor values = TensorBytes.toTensor(stored).to(DType.F32);
            stored.unload();
            MemorySegment bytes = Tensors.copyOf(layout.toFile(tensor, values), arena);
            GgufTensors.encode(type, bytes, size[size.length - 1], sink);
        }
    }
}
