package org.qlora4j.tokenize;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Makes {@code tokenizer.json} of {@code vocab.json} and {@code merges.txt}: BPE on bytes, as
 * GPT-2, OPT, RoBERTa and Qwen2 have it.
 *
 * @param config {@code tokenizer_config.json}
 * @param name transformers' class
 */
record BytePairConversion(Path folder, JsonNode config, String name) {
    private static final JsonMapper JSON = JsonMapper.builder().build();

    /** How Qwen2 cuts words. */
    private static final String QWEN2 =
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

    private static final Map<String, String> ROBERTA =
            Map.of(
                    "bos_token", "<s>",
                    "eos_token", "</s>",
                    "sep_token", "</s>",
                    "cls_token", "<s>",
                    "unk_token", "<unk>",
                    "pad_token", "<pad>",
                    "mask_token", "<mask>");
    private static final String END = "<|endoftext|>";
    private static final Map<String, String> GPT2 =
            Map.of("bos_token", END, "eos_token", END, "unk_token", END);
    private static final Map<String, String> QWEN =
            Map.of("eos_token", END, "pad_token", END, "unk_token", END);

    ObjectNode json() {
        boolean roberta = name.equals("RobertaTokenizer");
        boolean qwen = name.equals("Qwen2Tokenizer");
        Map<String, Integer> vocabulary = vocabulary();
        SpecialTokens special = new SpecialTokens(folder, vocabulary);
        special.addNamed(roberta ? ROBERTA : qwen ? QWEN : GPT2);
        boolean prefix = config.path("add_prefix_space").asBoolean(false);
        ObjectNode json = JSON.createObjectNode().put("version", "1.0");
        json.putNull("truncation");
        json.putNull("padding");
        json.set("added_tokens", special.json());
        if (qwen) {
            json.putObject("normalizer").put("type", "NFC");
            ArrayNode steps =
                    json.putObject("pre_tokenizer")
                            .put("type", "Sequence")
                            .putArray("pretokenizers");
            ObjectNode split = steps.addObject().put("type", "Split");
            split.putObject("pattern").put("Regex", QWEN2);
            split.put("behavior", "Isolated").put("invert", false);
            steps.add(byteLevel(prefix, false));
        } else {
            json.putNull("normalizer");
            json.set("pre_tokenizer", byteLevel(prefix, true));
        }
        if (roberta) {
            String sep = special.named("sep_token");
            String cls = special.named("cls_token");
            if (sep == null || cls == null) {
                throw new FormatException(
                        folder + ": the vocabulary of a RobertaTokenizer lacks <s> or </s>");
            }
            ObjectNode processor = json.putObject("post_processor");
            processor.put("type", "RobertaProcessing");
            processor.putArray("sep").add(sep).add(special.id(sep));
            processor.putArray("cls").add(cls).add(special.id(cls));
            processor.put("trim_offsets", true).put("add_prefix_space", prefix);
        } else {
            json.set("post_processor", special.ends(config, false));
        }
        json.set("decoder", byteLevel(true, true));
        ObjectNode model = json.putObject("model").put("type", "BPE");
        model.putNull("dropout");
        model.putNull("unk_token");
        model.putNull("continuing_subword_prefix");
        model.putNull("end_of_word_suffix");
        model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", false);
        ObjectNode ids = model.putObject("vocab");
        vocabulary.forEach(ids::put);
        model.set("merges", merges());
        return json;
    }

    private static ObjectNode byteLevel(boolean prefix, boolean regex) {
        return JSON.createObjectNode()
                .put("type", "ByteLevel")
                .put("add_prefix_space", prefix)
                .put("trim_offsets", true)
                .put("use_regex", regex);
    }

    private Map<String, Integer> vocabulary() {
        Path file = folder.resolve("vocab.json");
        JsonNode json = TokenizerFiles.object(file);
        Map<String, Integer> vocabulary = new LinkedHashMap<>();
        if (json != null) {
            for (Map.Entry<String, JsonNode> entry : json.properties()) {
                if (!entry.getValue().isInt()) {
                    throw FormatException.of(
                            "%s: the id of %s must be a whole number, got %s",
                            file, entry.getKey(), entry.getValue());
                }
                vocabulary.put(entry.getKey(), entry.getValue().intValue());
            }
        }
        return vocabulary;
    }

    /** Pairs of tokens, the first merges first; a line {@code #version} is none. */
    private ArrayNode merges() {
        Path file = folder.resolve("merges.txt");
        ArrayNode merges = JSON.createArrayNode();
        int number = 0;
        try {
            for (String line : Files.readString(file).split("\\r?\\n", -1)) {
                number++;
                if (line.isBlank() || line.startsWith("#version")) {
                    continue;
                }
                String[] pair = line.split(" ", -1);
                if (pair.length != 2) {
                    throw FormatException.of(
                            "%s:%d: a merge is two tokens with a blank between, got %s",
                            file, number, line);
                }
                merges.addArray().add(pair[0]).add(pair[1]);
            }
        } catch (IOException e) {
            throw new FormatException(file + " cannot be read as UTF-8 text: " + e.getMessage(), e);
        }
        return merges;
    }
}
