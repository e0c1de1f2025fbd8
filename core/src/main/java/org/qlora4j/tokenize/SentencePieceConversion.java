package org.qlora4j.tokenize;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * Makes {@code tokenizer.json} of a file of SentencePiece: BPE as Llama and Gemma have it, unigram
 * as T5. Blanks are written ▁, bytes without a token {@code <0x0A>}.
 *
 * @param config {@code tokenizer_config.json}
 * @param name transformers' class
 */
record SentencePieceConversion(
        Path folder, JsonNode config, String name, SentencePieceModel pieces) {
    private static final JsonMapper JSON = JsonMapper.builder().build();
    private static final String BLANK = "▁";
    private static final Map<String, String> LLAMA =
            Map.of("bos_token", "<s>", "eos_token", "</s>", "unk_token", "<unk>");
    private static final Map<String, String> GEMMA =
            Map.of(
                    "bos_token", "<bos>",
                    "eos_token", "<eos>",
                    "unk_token", "<unk>",
                    "pad_token", "<pad>",
                    "mask_token", "<mask>");
    private static final Map<String, String> T5 =
            Map.of("eos_token", "</s>", "unk_token", "<unk>", "pad_token", "<pad>");

    /** Marks of Gemma's turns, which its file calls the user's, and transformers special. */
    private static final Set<String> TURNS = Set.of("<start_of_turn>", "<end_of_turn>");

    private record Merge(String left, String right, int id) {}

    ObjectNode json() {
        Map<String, Integer> ids = new LinkedHashMap<>();
        for (SentencePieceModel.Piece piece : pieces.pieces()) {
            if (ids.put(piece.text(), ids.size()) != null) {
                throw FormatException.of(
                        "%s: the tokenizer has the piece %s twice; fetch its files again",
                        folder, piece.text());
            }
        }
        ObjectNode json = JSON.createObjectNode().put("version", "1.0");
        json.putNull("truncation");
        json.putNull("padding");
        switch (name) {
            case "T5Tokenizer" -> t5(json, ids);
            case "GemmaTokenizer" -> gemma(json, ids);
            default -> llama(json, ids);
        }
        return json;
    }

    private SpecialTokens special(Map<String, Integer> ids, Map<String, String> defaults) {
        SpecialTokens special = new SpecialTokens(folder, ids);
        for (SentencePieceModel.Piece piece : pieces.pieces()) {
            boolean control = piece.type() == SentencePieceModel.CONTROL;
            if (control || piece.type() == SentencePieceModel.USER_DEFINED) {
                special.add(piece.text(), control || TURNS.contains(piece.text()));
            }
        }
        special.addNamed(defaults);
        return special;
    }

    private void llama(ObjectNode json, Map<String, Integer> ids) {
        SpecialTokens special = special(ids, LLAMA);
        boolean prefix = config.path("add_prefix_space").asBoolean(true);
        json.set("added_tokens", special.json());
        if (config.path("legacy").asBoolean(true)) {
            ArrayNode steps =
                    json.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
            if (prefix) {
                steps.addObject().put("type", "Prepend").put("prepend", BLANK);
            }
            steps.add(replace(" ", BLANK));
            json.putNull("pre_tokenizer");
        } else {
            json.putNull("normalizer");
            json.set("pre_tokenizer", metaspace(prefix ? "first" : "never", false));
        }
        json.set("post_processor", special.ends(config, true));
        ArrayNode back = decoder(json);
        if (prefix) {
            back.addObject()
                    .put("type", "Strip")
                    .put("content", " ")
                    .put("start", 1)
                    .put("stop", 0);
        }
        bpe(json, ids);
    }

    private void gemma(ObjectNode json, Map<String, Integer> ids) {
        SpecialTokens special = special(ids, GEMMA);
        json.set("added_tokens", special.json());
        json.set("normalizer", replace(" ", BLANK));
        ObjectNode split = json.putObject("pre_tokenizer").put("type", "Split");
        split.putObject("pattern").put("String", " ");
        split.put("behavior", "MergedWithPrevious").put("invert", false);
        json.set("post_processor", special.ends(config, true));
        decoder(json);
        bpe(json, ids);
    }

    private void t5(ObjectNode json, Map<String, Integer> ids) {
        for (int i = config.path("extra_ids").asInt(100) - 1; i >= 0; i--) {
            ids.put("<extra_id_" + i + ">", ids.size());
        }
        SpecialTokens special = new SpecialTokens(folder, ids);
        ids.keySet().stream()
                .filter(token -> token.startsWith("<extra_id_"))
                .forEach(token -> special.add(token, true));
        special.addNamed(T5);
        json.set("added_tokens", special.json());
        if (pieces.charsMap().length > 0) {
            json.putObject("normalizer")
                    .put("type", "Precompiled")
                    .put(
                            "precompiled_charsmap",
                            Base64.getEncoder().encodeToString(pieces.charsMap()));
        } else {
            json.putNull("normalizer");
        }
        ArrayNode cut =
                json.putObject("pre_tokenizer").put("type", "Sequence").putArray("pretokenizers");
        cut.addObject().put("type", "WhitespaceSplit");
        cut.add(metaspace("always", true));
        json.set("post_processor", special.around(null, special.named("eos_token")));
        json.set("decoder", metaspace("always", true));
        ObjectNode model = json.putObject("model").put("type", "Unigram");
        model.put("unk_id", pieces.unknown());
        ArrayNode scores = model.putArray("vocab");
        for (SentencePieceModel.Piece piece : pieces.pieces()) {
            scores.addArray().add(piece.text()).add((double) piece.score());
        }
        ids.keySet().stream()
                .skip(pieces.pieces().size())
                .forEach(token -> scores.addArray().add(token).add(0.0));
        model.put("byte_fallback", false);
    }

    private static ObjectNode replace(String from, String to) {
        ObjectNode json = JSON.createObjectNode().put("type", "Replace");
        json.putObject("pattern").put("String", from);
        return json.put("content", to);
    }

    private static ObjectNode metaspace(String scheme, boolean split) {
        return JSON.createObjectNode()
                .put("type", "Metaspace")
                .put("replacement", BLANK)
                .put("prepend_scheme", scheme)
                .put("split", split);
    }

    private static ArrayNode decoder(ObjectNode json) {
        ArrayNode steps = json.putObject("decoder").put("type", "Sequence").putArray("decoders");
        steps.add(replace(BLANK, " "));
        steps.addObject().put("type", "ByteFallback");
        steps.addObject().put("type", "Fuse");
        return steps;
    }

    private void bpe(ObjectNode json, Map<String, Integer> ids) {
        ObjectNode model = json.putObject("model").put("type", "BPE");
        model.putNull("dropout");
        model.put("unk_token", pieces.pieces().get(pieces.unknown()).text());
        model.putNull("continuing_subword_prefix");
        model.putNull("end_of_word_suffix");
        model.put("fuse_unk", true).put("byte_fallback", true).put("ignore_merges", false);
        ObjectNode vocabulary = model.putObject("vocab");
        ids.forEach(vocabulary::put);
        ArrayNode merges = model.putArray("merges");
        merges(ids).forEach(m -> merges.addArray().add(m.left).add(m.right));
    }

    /** Each way to make a piece of two others, in the order of ids, the shorter left one first. */
    private static List<Merge> merges(Map<String, Integer> ids) {
        List<Merge> merges = new ArrayList<>();
        ids.forEach((piece, id) -> {
            for (int at = 1; at < piece.length(); at++) {
                String left = piece.substring(0, at);
                String right = piece.substring(at);
                if (!Character.isLowSurrogate(piece.charAt(at))
                        && ids.containsKey(left)
                        && ids.containsKey(right)) {
                    merges.add(new Merge(left, right, id));
                }
            }
        });
        merges.sort(Comparator.comparingInt(Merge::id)); // stable
        return merges;
    }
}
