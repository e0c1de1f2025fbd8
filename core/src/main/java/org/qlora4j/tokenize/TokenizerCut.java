package org.qlora4j.tokenize;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A smaller vocabulary for a BPE tokenizer: its first merges alone. Special tokens and the tokens
 * that no merge makes (bytes, letters) all stay, so that any text can still be written; what stays
 * is numbered anew without gaps, in the old order.
 *
 * <p>Because BPE applies merges by their rank, the tokens of the cut tokenizer refine those of the
 * whole one: each token of the whole is a sequence of tokens of the cut, the same in every text.
 */
public final class TokenizerCut {
    private static final JsonMapper JSON = JsonMapper.builder().build();
    private static final JsonMapper PRETTY =
            JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();
    private static final List<String> NAMED_IDS =
            List.of("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id");

    private final ObjectNode tokenizer;
    private final ObjectNode model;
    private final int merges;
    private final int[] kept;
    private final Map<Integer, Integer> newIds = new HashMap<>();

    private TokenizerCut(ObjectNode tokenizer, ObjectNode model, int merges, int[] kept) {
        this.tokenizer = tokenizer;
        this.model = model;
        this.merges = merges;
        this.kept = kept;
        for (int i = 0; i < kept.length; i++) {
            newIds.put(kept[i], i);
        }
    }

    /**
     * Plans a cut; nothing is written.
     *
     * @param folder of the tokenizer
     * @param size tokens of the smaller vocabulary
     * @throws FormatException if the tokenizer is not BPE
     * @throws ConfigException if the size is below that of the tokens that must stay, or above what
     *     there is
     */
    public static TokenizerCut plan(Path folder, int size) {
        TokenizerSource source = TokenizerSource.of(folder);
        Path file = source.file();
        ObjectNode tokenizer = source.object();
        if (!(tokenizer.get("model") instanceof ObjectNode model)
                || !model.path("type").asString("").equals("BPE")
                || !(model.get("vocab") instanceof ObjectNode vocab)
                || !(model.get("merges") instanceof ArrayNode merges)) {
            throw new FormatException(
                    file + " holds no BPE model; only a vocabulary made of merges can be cut");
        }
        Map<String, Integer> ids = new HashMap<>();
        vocab.forEachEntry((token, id) -> ids.put(token, id.intValue()));
        for (JsonNode added : tokenizer.path("added_tokens")) {
            ids.put(added.path("content").asString(""), added.path("id").intValue());
        }
        List<String> results = new ArrayList<>(merges.size());
        merges.forEach(merge -> results.add(result(merge)));
        Set<String> made = new HashSet<>(results);
        for (JsonNode added : tokenizer.path("added_tokens")) {
            made.remove(added.path("content").asString(""));
        }
        Set<String> stay = new LinkedHashSet<>(ids.keySet());
        stay.removeAll(made);
        if (size < stay.size() || size > ids.size()) {
            throw ConfigException.of(
                    "a vocabulary of %d tokens cannot be cut from %s: %d tokens must stay, and it has %d",
                    size, file, stay.size(), ids.size());
        }
        int used = 0;
        while (used < results.size() && (stay.size() < size || stay.contains(results.get(used)))) {
            stay.add(results.get(used++));
        }
        int[] kept = stay.stream().mapToInt(ids::get).sorted().toArray();
        return new TokenizerCut(tokenizer, model, used, kept);
    }

    /** {@code ["a", "b"]}, or in older files {@code "a b"}, makes {@code ab}. */
    private static String result(JsonNode merge) {
        return merge.isArray()
                ? merge.path(0).asString("") + merge.path(1).asString("")
                : merge.asString("").replace(" ", "");
    }

    /** Old ids of the tokens that stay, by new id: the rows of the embedding to keep. */
    public int[] keptIds() {
        return kept.clone();
    }

    /**
     * The files of the smaller tokenizer by name: {@code tokenizer.json}, and what beside it names
     * ids.
     *
     * @param source the folder of {@link #plan}
     */
    public Map<String, String> files(Path source) {
        Map<String, String> files = new LinkedHashMap<>();
        ObjectNode cut = tokenizer.deepCopy();
        ObjectNode cutModel = (ObjectNode) cut.get("model");
        ObjectNode vocab = cutModel.putObject("vocab");
        Map<Integer, String> tokens = new HashMap<>();
        model.get("vocab").forEachEntry((token, id) -> tokens.put(id.intValue(), token));
        for (int old : kept) {
            String token = tokens.get(old);
            if (token != null) { // else an added token, which need not stand in the vocabulary
                vocab.put(token, newIds.get(old));
            }
        }
        ArrayNode mergesLeft = cutModel.putArray("merges");
        for (int i = 0; i < merges; i++) {
            mergesLeft.add(model.get("merges").get(i));
        }
        for (JsonNode added : cut.path("added_tokens")) {
            ((ObjectNode) added).put("id", newId(added.path("id").intValue()));
        }
        renumberSpecial(cut.path("post_processor"));
        // compact: the file is most of a small model's text
        files.put("tokenizer.json", JSON.writeValueAsString(cut) + "\n");
        if (object(source, "tokenizer_config.json") instanceof ObjectNode config) {
            if (config.get("added_tokens_decoder") instanceof ObjectNode old) {
                ObjectNode renamed = config.putObject("added_tokens_decoder");
                old.forEachEntry((id, token) ->
                        renamed.set(Integer.toString(newId(Integer.parseInt(id))), token));
            }
            files.put("tokenizer_config.json", PRETTY.writeValueAsString(config) + "\n");
        }
        if (object(source, "generation_config.json") instanceof ObjectNode config) {
            renumberNamed(config);
            files.put("generation_config.json", PRETTY.writeValueAsString(config) + "\n");
        }
        return files;
    }

    private static @Nullable JsonNode object(Path folder, String name) {
        return TokenizerFiles.object(folder.resolve(name));
    }

    /** Ids that TemplateProcessing puts around texts, wherever they stand in it. */
    private void renumberSpecial(JsonNode processor) {
        for (JsonNode special : processor.path("special_tokens")) {
            if (special.get("ids") instanceof ArrayNode ids) {
                for (int i = 0; i < ids.size(); i++) {
                    ids.set(i, newId(ids.get(i).intValue()));
                }
            }
        }
        for (String pair : List.of("sep", "cls")) { // of BertProcessing and RobertaProcessing
            if (processor.get(pair) instanceof ArrayNode named && named.size() == 2) {
                named.set(1, newId(named.get(1).intValue()));
            }
        }
        processor.path("processors").forEach(this::renumberSpecial);
    }

    /** Renumbers {@code eos_token_id} and its like in a {@code config.json}. */
    public void renumberNamed(ObjectNode config) {
        for (String name : NAMED_IDS) {
            JsonNode id = config.get(name);
            if (id instanceof ArrayNode several) {
                for (int i = 0; i < several.size(); i++) {
                    several.set(i, newId(several.get(i).intValue()));
                }
            } else if (id != null && id.isIntegralNumber()) {
                config.put(name, newId(id.intValue()));
            }
        }
    }

    private int newId(int old) {
        Integer id = newIds.get(old);
        if (id == null) {
            throw FormatException.of(
                    "the tokenizer's files name the id %d as a special token, but tokenizer.json does not list it",
                    old);
        }
        return id;
    }
}
