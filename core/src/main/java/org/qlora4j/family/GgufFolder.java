package org.qlora4j.family;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.AtomicFolder;
import org.qlora4j.checkpoint.GgufFile;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;
import org.qlora4j.hub.Caches;
import org.qlora4j.tokenize.GgufVocabulary;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Config, tokenizer and chat template of a GGUF file, taken from the file itself and written as
 * Hugging Face's files: what a model needs beside its weights, where no folder has them.
 */
public final class GgufFolder {
    private static final JsonMapper JSON =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

    /** Tokens at which llama.cpp stops by their text alone (llama-vocab.cpp). */
    private static final Set<String> STOPS =
            Set.of(
                    "<|eot_id|>",
                    "<|im_end|>",
                    "<|end|>",
                    "<end_of_turn>",
                    "<|endoftext|>",
                    "<|end_of_text|>",
                    "<|eom_id|>",
                    "<EOT>",
                    "_<EOT>",
                    "[EOT]",
                    "[EOS]",
                    "<eos>",
                    "<end_of_utterance>");

    private static final long NO_ID = 0xFFFF_FFFFL;

    private final GgufFile file;
    private final String architecture;

    private GgufFolder(GgufFile file) {
        this.file = file;
        String named = file.string("general.architecture");
        this.architecture = named == null ? "" : named;
    }

    /**
     * The folder of a file without config or tokenizer beside it, made once among what can be made
     * again.
     */
    static synchronized Path of(Path gguf) {
        Path caches = Caches.folder();
        Path target = caches.resolve("gguf-" + fingerprint(gguf));
        if (Files.isDirectory(target)) {
            return target;
        }
        try {
            Files.createDirectories(caches);
        } catch (IOException e) {
            throw new DeviceException(
                    "%s, where tokenizers of GGUF files are kept, cannot be made: %s; set QLORA_CACHE to a folder that can be written"
                            .formatted(caches, AtomicFiles.reason(e)),
                    e);
        }
        try (AtomicFolder folder = AtomicFolder.begin(target)) {
            write(gguf, folder.path());
            if (!Files.isDirectory(target)) { // else another process was faster
                folder.commit();
            }
        }
        return target;
    }

    private static String fingerprint(Path gguf) {
        try {
            String text =
                    gguf.toRealPath()
                            + " "
                            + Files.size(gguf)
                            + " "
                            + Files.getLastModifiedTime(gguf);
            byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
            return HexFormat.of()
                    .formatHex(MessageDigest.getInstance("SHA-256").digest(bytes))
                    .substring(0, 16);
        } catch (IOException e) {
            throw new FormatException(gguf + " cannot be read: " + AtomicFiles.reason(e), e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has SHA-256", e);
        }
    }

    /**
     * Writes {@code config.json}, {@code tokenizer.json} and the files beside them into an existing
     * folder.
     *
     * @throws FormatException if the file is damaged, or of a kind that is not read
     */
    public static void write(Path gguf, Path folder) {
        try (GgufFile file = GgufFile.open(gguf)) {
            new GgufFolder(file).write(folder);
        }
    }

    private void write(Path folder) {
        List<String> tokens = file.strings("tokenizer.ggml.tokens");
        List<Integer> stops = stops(tokens);
        ObjectNode config = new GgufConfig(file, architecture).json(tokens.size());
        if (id("bos") >= 0) {
            config.put("bos_token_id", id("bos"));
        }
        putIds(config, stops);
        write(folder, "config.json", config);
        ObjectNode generation = JSON.createObjectNode();
        putIds(generation, stops);
        write(folder, "generation_config.json", generation);
        String template = file.string("tokenizer.chat_template");
        if (template != null) {
            AtomicFiles.writeText(folder.resolve("chat_template.jinja"), template);
        }
        if (!tokens.isEmpty()) {
            writeTokenizer(folder, tokens);
        }
    }

    private static void write(Path folder, String name, ObjectNode json) {
        AtomicFiles.writeText(folder.resolve(name), JSON.writeValueAsString(json) + "\n");
    }

    /** The id under a key; -1 if there is none, which some writers say by the largest number. */
    private int id(String name) {
        String key = "tokenizer.ggml." + name + "_token_id";
        return file.integer(key, -1) == NO_ID ? -1 : file.count(key, -1);
    }

    /** The ids at which llama.cpp ends a text: those of the keys, and tokens that it knows. */
    private List<Integer> stops(List<String> tokens) {
        TreeSet<Integer> stops = new TreeSet<>();
        for (String name : List.of("eos", "eot", "eom")) {
            if (id(name) >= 0) {
                stops.add(id(name));
            }
        }
        int[] types = file.integers("tokenizer.ggml.token_type");
        for (int id = 0; id < tokens.size() && id < types.length; id++) {
            if (types[id] == 3 && STOPS.contains(tokens.get(id))) {
                stops.add(id);
            }
        }
        return List.copyOf(stops);
    }

    private static void putIds(ObjectNode json, List<Integer> stops) {
        if (stops.size() == 1) {
            json.put("eos_token_id", stops.getFirst());
        } else if (!stops.isEmpty()) {
            ArrayNode all = json.putArray("eos_token_id");
            stops.forEach(all::add);
        }
    }

    private void writeTokenizer(Path folder, List<String> tokens) {
        String model = file.string("tokenizer.ggml.model");
        String pre = file.string("tokenizer.ggml.pre");
        boolean pieces = "llama".equals(model);
        GgufVocabulary vocabulary =
                new GgufVocabulary(
                        model == null ? "" : model,
                        pre == null ? "" : pre,
                        tokens,
                        file.integers("tokenizer.ggml.token_type"),
                        file.floats("tokenizer.ggml.scores"),
                        file.strings("tokenizer.ggml.merges"),
                        file.flag("tokenizer.ggml.add_space_prefix", pieces),
                        GgufVocabulary.eatsBlanks(file.string("general.name")));
        List<Integer> before = new ArrayList<>();
        List<Integer> after = new ArrayList<>();
        // llama.cpp's defaults where the file does not say
        boolean usual = pieces || "llama-bpe".equals(pre) || "tekken".equals(pre);
        if (file.flag("tokenizer.ggml.add_bos_token", usual) && id("bos") >= 0) {
            before.add(id("bos"));
        }
        if (file.flag("tokenizer.ggml.add_eos_token", false) && id("eos") >= 0) {
            after.add(id("eos"));
        }
        AtomicFiles.writeText(
                folder.resolve("tokenizer.json"),
                vocabulary.tokenizerJson(before, after, file.path()));
        ObjectNode config = JSON.createObjectNode();
        name(config, "bos_token", id("bos"), tokens);
        name(config, "eos_token", id("eos"), tokens);
        name(config, "unk_token", id("unknown"), tokens);
        name(config, "pad_token", id("padding"), tokens);
        write(folder, "tokenizer_config.json", config);
    }

    private static void name(ObjectNode config, String name, int id, List<String> tokens) {
        if (id >= 0 && id < tokens.size()) {
            config.put(name, tokens.get(id));
        }
    }
}
