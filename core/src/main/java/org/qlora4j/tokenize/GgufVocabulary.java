package org.qlora4j.tokenize;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A tokenizer as GGUF keeps it, made of {@code tokenizer.json} and made one again.
 *
 * @param model {@code gpt2} for byte-level BPE, {@code llama} for that of SentencePiece
 * @param pre how text is cut into words; empty for {@code llama}
 * @param tokens by id
 * @param types by id: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
 * @param scores by id; empty for {@code gpt2}
 * @param merges two tokens with a blank between; empty for {@code llama}
 * @param spacePrefix whether a blank is put before text, with {@code llama}
 * @param eatsBlanks whether special tokens take the blanks behind them, as Phi-3's do
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record GgufVocabulary(
        String model,
        String pre,
        List<String> tokens,
        int[] types,
        float[] scores,
        List<String> merges,
        boolean spacePrefix,
        boolean eatsBlanks) {
    private static final JsonMapper JSON = new JsonMapper();
    private static final int NORMAL = 1;
    private static final int UNKNOWN = 2;
    private static final int CONTROL = 3;
    private static final int USER_DEFINED = 4;
    private static final int UNUSED = 5;
    private static final int BYTE = 6;

    /** Special tokens that do not, in a model of such a name (llama-vocab.cpp). */
    private static final Set<String> EAT_NONE = Set.of("<unk>", "<s>", "<|endoftext|>");

    /** Score of a token that no merge makes; below all that are made. */
    private static final float UNMADE = -1e6f;

    /**
     * The vocabulary of a tokenizer.
     *
     * @param folder of the tokenizer
     * @param rows of the model's tables: ids without a token get one that is never met
     * @throws FormatException if GGUF has no form for it
     */
    public static GgufVocabulary of(Path folder, int rows) {
        TokenizerSource source = TokenizerSource.of(folder);
        Path file = source.file();
        JsonNode json = source.object();
        JsonNode model = json.path("model");
        if (!model.path("type").asString("").equals("BPE")) {
            throw FormatException.of(
                    "%s: a tokenizer of type %s is not written as GGUF; BPE is",
                    file, model.path("type"));
        }
        boolean bytes = model.path("byte_fallback").asBoolean(false);
        String pre = bytes ? "" : GgufPreTokenizer.name(json.path("pre_tokenizer"));
        if (pre == null) {
            throw FormatException.of(
                    "%s: llama.cpp has no name for the way its pre_tokenizer cuts words, so that it would read text"
                            + " otherwise; use --format hf",
                    file);
        }
        String[] tokens = new String[rows];
        int[] types = new int[rows];
        Arrays.fill(types, NORMAL);
        model.path("vocab")
                .properties()
                .forEach(entry -> put(tokens, entry.getValue().intValue(), entry.getKey(), file));
        for (JsonNode added : json.path("added_tokens")) {
            int id = added.path("id").intValue();
            put(tokens, id, added.path("content").asString(), file);
            types[id] = added.path("special").asBoolean(false) ? CONTROL : USER_DEFINED;
        }
        for (int id = 0; id < rows; id++) {
            if (tokens[id] == null) {
                tokens[id] = "[PAD" + id + "]";
                types[id] = UNUSED;
            }
        }
        List<String> merges = merges(model.path("merges"));
        if (!bytes) {
            return new GgufVocabulary(
                    "gpt2", pre, List.of(tokens), types, new float[0], merges, false, false);
        }
        String unknown = model.path("unk_token").asString("");
        for (int id = 0; id < rows; id++) {
            if (tokens[id].matches("<0x[0-9A-F]{2}>") && types[id] == NORMAL) {
                types[id] = BYTE;
            } else if (tokens[id].equals(unknown)) {
                types[id] = UNKNOWN;
            }
        }
        boolean prefix =
                json.toString().contains("\"Prepend\"")
                        || !json.path("pre_tokenizer")
                                .path("prepend_scheme")
                                .asString("never")
                                .equals("never");
        return new GgufVocabulary(
                "llama",
                "",
                List.of(tokens),
                types,
                scores(tokens, merges),
                List.of(),
                prefix,
                eatsBlanks(json.path("added_tokens"), tokens));
    }

    /** Whether tokens eat blanks, in a vocabulary for which llama.cpp knows that by a name. */
    private static boolean eatsBlanks(JsonNode added, String[] tokens) {
        Set<String> all = new HashSet<>(Arrays.asList(tokens));
        return all.containsAll(EAT_NONE)
                && all.contains("</s>")
                && added.valueStream().anyMatch(t -> t.path("rstrip").asBoolean(false));
    }

    /** Whether llama.cpp lets special tokens eat blanks in a model of this name. */
    public static boolean eatsBlanks(@Nullable String modelName) {
        String lower = modelName == null ? "" : modelName.toLowerCase(Locale.ROOT);
        return lower.contains("phi-3") || lower.contains("phi3");
    }

    /**
     * The name that a file gives a model. llama.cpp knows by it what tokens eat; with a tokenizer
     * without Phi-3's tokens it does not open a file of such a name.
     */
    public String modelName(String name) {
        if (eatsBlanks) {
            return eatsBlanks(name) ? name : "Phi-3 " + name;
        }
        return name.replaceAll("(?i)phi-?3", "Phi 3");
    }

    private static void put(String[] tokens, int id, String token, Path file) {
        if (id < 0 || id >= tokens.length) {
            throw FormatException.of(
                    "%s: token %s has the id %d, but the model has %d rows; they do not belong together",
                    file, token, id, tokens.length);
        }
        tokens[id] = token;
    }

    private static List<String> merges(JsonNode merges) {
        List<String> out = new ArrayList<>();
        for (JsonNode merge : merges) {
            out.add(
                    merge.isArray()
                            ? merge.get(0).asString() + " " + merge.get(1).asString()
                            : merge.asString());
        }
        return out;
    }

    /** SentencePiece merges what makes the token of the highest score: the first merge, here. */
    private static float[] scores(String[] tokens, List<String> merges) {
        Map<String, Float> first = new HashMap<>();
        for (int i = 0; i < merges.size(); i++) {
            first.putIfAbsent(merges.get(i).replace(" ", ""), (float) -i);
        }
        float[] scores = new float[tokens.length];
        for (int id = 0; id < scores.length; id++) {
            scores[id] = first.getOrDefault(tokens[id], UNMADE);
        }
        return scores;
    }

    /**
     * The text of a {@code tokenizer.json} that cuts texts as llama.cpp does with this vocabulary.
     *
     * @param before ids put before a text, such as BOS
     * @param after ids put behind it
     * @param origin of the file, for messages
     */
    public String tokenizerJson(List<Integer> before, List<Integer> after, Path origin) {
        ObjectNode json = JSON.createObjectNode();
        json.put("version", "1.0");
        json.putNull("truncation");
        json.putNull("padding");
        ArrayNode added = json.putArray("added_tokens");
        ObjectNode vocabulary = JSON.createObjectNode();
        for (int id = 0; id < tokens.size(); id++) {
            int type = id < types.length ? types[id] : NORMAL;
            if (type == UNUSED) {
                continue;
            }
            vocabulary.put(tokens.get(id), id);
            if (type == CONTROL || type == USER_DEFINED || type == UNKNOWN) {
                addToken(added, id, type != USER_DEFINED);
            }
        }
        if (model.equals("gpt2")) {
            writeByteLevel(json, origin);
        } else if (model.equals("llama")) {
            writeSentencePiece(json);
        } else {
            throw FormatException.of(
                    "%s: tokenizer.ggml.model is %s; gpt2 and llama are read, keep the model's tokenizer.json beside"
                            + " the file",
                    origin, model);
        }
        json.set("post_processor", around(before, after));
        ObjectNode bpe = json.putObject("model");
        bpe.put("type", "BPE");
        bpe.putNull("dropout");
        bpe.putNull("continuing_subword_prefix");
        bpe.putNull("end_of_word_suffix");
        boolean pieces = model.equals("llama");
        String unknown = unknown();
        if (pieces && unknown != null) {
            bpe.put("unk_token", unknown);
        } else {
            bpe.putNull("unk_token");
        }
        bpe.put("fuse_unk", pieces);
        bpe.put("byte_fallback", pieces);
        bpe.put("ignore_merges", !pieces && GgufPreTokenizer.ignoresMerges(pre));
        bpe.set("vocab", vocabulary);
        ArrayNode all = bpe.putArray("merges");
        for (String merge : pieces ? mergesByScore() : merges) {
            int blank = merge.indexOf(' ', 1);
            if (blank < 0) {
                throw FormatException.of(
                        "%s: tokenizer.ggml.merges holds %s, which is not two tokens; the file is damaged",
                        origin, merge);
            }
            all.addArray().add(merge.substring(0, blank)).add(merge.substring(blank + 1));
        }
        return JSON.writeValueAsString(json);
    }

    private @Nullable String unknown() {
        for (int id = 0; id < types.length; id++) {
            if (types[id] == UNKNOWN) {
                return tokens.get(id);
            }
        }
        return null;
    }

    private void addToken(ArrayNode added, int id, boolean special) {
        ObjectNode token = added.addObject();
        token.put("id", id);
        token.put("content", tokens.get(id));
        token.put("single_word", false);
        token.put("lstrip", false);
        token.put("rstrip", eatsBlanks && !EAT_NONE.contains(tokens.get(id)));
        token.put("normalized", false);
        token.put("special", special);
    }

    private void writeByteLevel(ObjectNode json, Path origin) {
        JsonNode cut = GgufPreTokenizer.json(pre.isEmpty() ? "default" : pre);
        if (cut == null) {
            throw FormatException.of(
                    "%s: tokenizer.ggml.pre is %s, which is not read; keep the model's tokenizer.json beside the file",
                    origin, pre);
        }
        json.putNull("normalizer");
        json.set("pre_tokenizer", cut);
        ObjectNode decoder = json.putObject("decoder");
        decoder.put("type", "ByteLevel");
        decoder.put("add_prefix_space", true);
        decoder.put("trim_offsets", true);
        decoder.put("use_regex", true);
    }

    /** Blanks are written as ▁; bytes without a token as {@code <0x0A>}. */
    private void writeSentencePiece(ObjectNode json) {
        ObjectNode normalizer = json.putObject("normalizer");
        normalizer.put("type", "Sequence");
        ArrayNode steps = normalizer.putArray("normalizers");
        if (spacePrefix) {
            steps.addObject().put("type", "Prepend").put("prepend", "▁");
        }
        ObjectNode replace = steps.addObject().put("type", "Replace").put("content", "▁");
        replace.putObject("pattern").put("String", " ");
        json.putNull("pre_tokenizer");
        ObjectNode decoder = json.putObject("decoder");
        decoder.put("type", "Sequence");
        ArrayNode decoders = decoder.putArray("decoders");
        ObjectNode back = decoders.addObject().put("type", "Replace").put("content", " ");
        back.putObject("pattern").put("String", "▁");
        decoders.addObject().put("type", "ByteFallback");
        decoders.addObject().put("type", "Fuse");
        if (spacePrefix) {
            decoders.addObject()
                    .put("type", "Strip")
                    .put("content", " ")
                    .put("start", 1)
                    .put("stop", 0);
        }
    }

    private JsonNode around(List<Integer> before, List<Integer> after) {
        ObjectNode json = JSON.createObjectNode();
        json.put("type", "TemplateProcessing");
        ArrayNode single = json.putArray("single");
        ObjectNode special = JSON.createObjectNode();
        before.forEach(id -> addSpecial(single, special, id));
        single.addObject().putObject("Sequence").put("id", "A").put("type_id", 0);
        after.forEach(id -> addSpecial(single, special, id));
        ArrayNode pair = json.putArray("pair");
        pair.addObject().putObject("Sequence").put("id", "A").put("type_id", 0);
        pair.addObject().putObject("Sequence").put("id", "B").put("type_id", 1);
        json.set("special_tokens", special);
        return json;
    }

    private void addSpecial(ArrayNode single, ObjectNode special, int id) {
        String token = tokens.get(id);
        single.addObject().putObject("SpecialToken").put("id", token).put("type_id", 0);
        ObjectNode entry = special.putObject(token);
        entry.put("id", token);
        entry.putArray("ids").add(id);
        entry.putArray("tokens").add(token);
    }

    /** Each way to make a token of two others, the highest scores first. */
    private List<String> mergesByScore() {
        Map<String, Integer> ids = new HashMap<>();
        for (int id = 0; id < tokens.size(); id++) {
            ids.put(tokens.get(id), id);
        }
        Set<Integer> whole = Set.of(CONTROL, UNKNOWN, UNUSED, BYTE, USER_DEFINED);
        Map<Float, List<String>> byScore = new TreeMap<>(Comparator.reverseOrder());
        for (int id = 0; id < tokens.size(); id++) {
            String token = tokens.get(id);
            if (id >= scores.length || (id < types.length && whole.contains(types[id]))) {
                continue;
            }
            for (int at = 1; at < token.length(); at++) {
                if (Character.isLowSurrogate(token.charAt(at))) {
                    continue;
                }
                String left = token.substring(0, at);
                String right = token.substring(at);
                if (ids.containsKey(left) && ids.containsKey(right)) {
                    byScore.computeIfAbsent(scores[id], s -> new ArrayList<>())
                            .add(left + " " + right);
                }
            }
        }
        return byScore.values().stream().flatMap(List::stream).toList();
    }
}
