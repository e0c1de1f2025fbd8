package org.qlora4j.tokenize;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * The text of a {@code tokenizer.json}: that of a folder, or one made of the files that were usual
 * before it, as transformers makes it.
 *
 * @param file what it was read from, for messages
 * @param json the text
 */
record TokenizerSource(Path file, String json) {
    static final String NAME = "tokenizer.json";
    private static final long MAX_FILE = 512L << 20;
    private static final JsonMapper JSON = JsonMapper.builder().build();

    /** Classes of transformers by {@code model_type}, where no file names one. */
    private static final Map<String, String> CLASSES =
            Map.ofEntries(
                    Map.entry("gpt2", "GPT2Tokenizer"),
                    Map.entry("opt", "GPT2Tokenizer"),
                    Map.entry("roberta", "RobertaTokenizer"),
                    Map.entry("qwen2", "Qwen2Tokenizer"),
                    Map.entry("qwen3", "Qwen2Tokenizer"),
                    Map.entry("llama", "LlamaTokenizer"),
                    Map.entry("mistral", "LlamaTokenizer"),
                    Map.entry("phi3", "LlamaTokenizer"),
                    Map.entry("gemma", "GemmaTokenizer"),
                    Map.entry("gemma2", "GemmaTokenizer"),
                    Map.entry("gemma3_text", "GemmaTokenizer"),
                    Map.entry("t5", "T5Tokenizer"));

    /** Its tokens. */
    Vocabulary vocabulary() {
        return Vocabulary.read(json, file);
    }

    /** Whether a folder has a tokenizer in one form or another. */
    static boolean isIn(Path folder) {
        return Files.isRegularFile(folder.resolve(NAME)) || older(folder) != null;
    }

    /** The file of an older form, or null. */
    private static @Nullable Path older(Path folder) {
        Path merges = folder.resolve("merges.txt");
        Path vocabulary = folder.resolve("vocab.json");
        if (Files.isRegularFile(merges) && Files.isRegularFile(vocabulary)) {
            return vocabulary;
        }
        for (String name : new String[] {"tokenizer.model", "spiece.model"}) {
            if (Files.isRegularFile(folder.resolve(name))) {
                return folder.resolve(name);
            }
        }
        return null;
    }

    /**
     * Reads it.
     *
     * @throws FormatException if there is none, or one that is not converted; the message then
     *     holds the command that converts it
     */
    static TokenizerSource of(Path folder) {
        Path file = folder.resolve(NAME);
        if (Files.isRegularFile(file)) {
            return new TokenizerSource(file, text(file));
        }
        Path older = older(folder);
        if (older == null) {
            throw new FormatException(file + " is missing; it comes with the model's checkpoint");
        }
        return new TokenizerSource(older, JSON.writeValueAsString(converted(folder, older)));
    }

    /** Its JSON object, which is the caller's to change. */
    ObjectNode object() {
        try {
            if (JSON.readTree(json) instanceof ObjectNode object) {
                return object;
            }
        } catch (JacksonException e) {
            throw TokenizerFiles.malformed(file, e);
        }
        throw new FormatException(file + " must hold a JSON object, but does not");
    }

    private static ObjectNode converted(Path folder, Path file) {
        JsonNode found = TokenizerFiles.object(folder.resolve("tokenizer_config.json"));
        JsonNode config = found == null ? JSON.createObjectNode() : found;
        String name = name(folder, config);
        boolean merges = file.endsWith("vocab.json");
        return switch (name) {
            case "GPT2Tokenizer", "RobertaTokenizer", "Qwen2Tokenizer" -> {
                if (!merges) {
                    throw refused(folder, file, name);
                }
                yield new BytePairConversion(folder, config, name).json();
            }
            case "LlamaTokenizer", "GemmaTokenizer", "T5Tokenizer" -> {
                SentencePieceModel pieces = merges ? null : SentencePieceModel.read(file);
                int kind =
                        name.equals("T5Tokenizer")
                                ? SentencePieceModel.UNIGRAM
                                : SentencePieceModel.BPE;
                if (pieces == null || pieces.kind() != kind) {
                    throw refused(folder, file, name);
                }
                yield new SentencePieceConversion(folder, config, name, pieces).json();
            }
            default -> throw refused(folder, file, name);
        };
    }

    private static String name(Path folder, JsonNode config) {
        String name = config.path("tokenizer_class").asString("").replaceFirst("Fast$", "");
        if (!name.isEmpty()) {
            return name;
        }
        JsonNode model = TokenizerFiles.object(folder.resolve("config.json"));
        String type = model == null ? "" : model.path("model_type").asString("");
        return CLASSES.getOrDefault(type, "tokenizer of an unknown class");
    }

    private static FormatException refused(Path folder, Path file, String name) {
        return FormatException.of(
                "%s: a %s in this form is not read; with transformers and sentencepiece installed, make tokenizer.json of it:"
                        + " python3 -c \"from transformers import AutoTokenizer as T; T.from_pretrained('%s').save_pretrained('%s')\"",
                file, name, folder, folder);
    }

    private static String text(Path file) {
        try {
            long size = Files.size(file);
            if (size > MAX_FILE) {
                throw FormatException.of(
                        "%s has %d bytes; tokenizers of up to %d are read", file, size, MAX_FILE);
            }
            return Files.readString(file);
        } catch (IOException e) {
            throw new FormatException(file + " cannot be read as UTF-8 text: " + e.getMessage(), e);
        } catch (OutOfMemoryError e) {
            throw new DeviceException(
                    file + " does not fit into the Java heap; set QLORA_HEAP (or -Xmx) higher", e);
        }
    }
}
