package org.qlora4j.lora;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.FormatException;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;

/**
 * Tables with a row for each token that PEFT saves beside the factors, though {@code
 * modules_to_save} does not name them: whole because the vocabulary grew, as LoRA on embeddings or
 * head, or as single rows ({@code trainable_token_indices}). Each becomes a table that stands in
 * the place of the model's.
 *
 * @param stored the adapter's file
 * @param keys of the file by name without prefix; what is read is taken out
 */
record AdapterTables(
        Checkpoint stored,
        Path configFile,
        Map<String, String> keys,
        LoraConfig config,
        List<Parameter> parameters) {
    private static final String ROWS = ".token_adapter.trainable_tokens_delta";

    /**
     * Reads them.
     *
     * @param named weights that {@code modules_to_save} names, which are read elsewhere
     * @param trainable whether they go on learning
     * @param out gets each as it is read, so that its owner frees it whatever follows
     */
    void read(List<Parameter> named, DType compute, boolean trainable, List<SavedModule> out) {
        String embeddings =
                parameters.stream()
                        .map(SavedModule::module)
                        .filter(SavedModule::isEmbedding)
                        .map(AdapterTables::lastPart)
                        .findFirst()
                        .orElse("embed_tokens");
        Map<String, List<Integer>> tokens = PeftConfigFile.tokens(configFile, embeddings);
        boolean hasRows = keys.keySet().stream().anyMatch(key -> key.endsWith(ROWS));
        if (!tokens.isEmpty() && !hasRows) {
            throw FormatException.of(
                    "%s holds no rows of tokens, which trainable_token_indices calls for; save the adapter again",
                    stored.files().getFirst());
        }
        Set<String> tied = new HashSet<>();
        for (Parameter base : parameters) {
            if (!SavedModule.isTable(base.name()) || named.contains(base)) {
                continue;
            }
            String module = SavedModule.module(base);
            if (!SavedModule.hasOwnHead(parameters)) {
                takeTiedHead(base.name(), tied);
            }
            Tensor table = table(base, module, tokens, trainable);
            if (table != null) {
                out.add(
                        new SavedModule(
                                base,
                                LoraAdapter.parameter(base.name(), table, compute, trainable)));
            }
        }
    }

    private static String lastPart(String module) {
        return module.substring(module.lastIndexOf('.') + 1);
    }

    private @Nullable Tensor table(
            Parameter base, String module, Map<String, List<Integer>> tokens, boolean trainable) {
        String whole = keys.remove(base.name());
        boolean embedding = SavedModule.isEmbedding(module);
        String keyA = keys.remove(module + (embedding ? ".lora_embedding_A" : ".lora_A.weight"));
        String keyB = keys.remove(module + (embedding ? ".lora_embedding_B" : ".lora_B.weight"));
        String rows = keys.remove(module + ROWS);
        if (whole == null && keyA == null && keyB == null && rows == null) {
            return null;
        }
        if (trainable && (keyA != null || rows != null)) {
            throw FormatException.of(
                    "%s: %s learnt by factors or single rows, which are read for answers and not trained on",
                    configFile, module);
        }
        Tensor table =
                whole == null
                        ? base.value().to(DType.F32).copy()
                        : PeftAdapter.read(stored, whole, base.value().shape());
        if (keyA != null && keyB != null) {
            addFactors(table, module, embedding, keyA, keyB);
        } else if (keyA != null || keyB != null) {
            throw FormatException.of(
                    "%s holds %s but not the other factor of the pair; save the adapter again",
                    stored.files().getFirst(), keyA == null ? keyB : keyA);
        }
        if (rows != null) {
            putRows(table, module, tokens, rows);
        }
        return table;
    }

    /** Adds {@code scale · B · A}; of embeddings PEFT keeps both factors transposed. */
    private void addFactors(
            Tensor table, String module, boolean embedding, String keyA, String keyB) {
        if (embedding && !SavedModule.hasOwnHead(parameters)) {
            throw FormatException.of(
                    "%s: LoRA on %s, but the model has one table for embeddings and head, of which PEFT changes only"
                            + " one; merge the adapter with PEFT first",
                    configFile, module);
        }
        // patterns name it as the file does
        String named = keyA.contains("lm_head.") ? SavedModule.inPeft(module) : module;
        int rank = config.rankOf(named);
        long rows = table.size(0);
        long width = table.size(1);
        Tensor a =
                embedding
                        ? PeftAdapter.read(stored, keyA, rank, rows)
                        : PeftAdapter.read(stored, keyA, rank, width);
        Tensor b =
                embedding
                        ? PeftAdapter.read(stored, keyB, width, rank)
                        : PeftAdapter.read(stored, keyB, rows, rank);
        Tensor left = embedding ? a.t().contiguous() : b;
        Tensor right = embedding ? b.t().contiguous() : a;
        table.addmmInPlace(left, right, 1, config.scalingOf(named));
    }

    private void putRows(
            Tensor table, String module, Map<String, List<Integer>> tokens, String key) {
        String named = lastPart(module);
        List<Integer> ids = tokens.getOrDefault(named, tokens.get(SavedModule.inPeft(named)));
        if (ids == null) {
            throw FormatException.of(
                    "%s: trainable_token_indices names no tokens of %s, but the file holds rows of it",
                    configFile, module);
        }
        Tensor rows = PeftAdapter.read(stored, key, ids.size(), table.size(1));
        for (int i = 0; i < ids.size(); i++) {
            if (ids.get(i) >= table.size(0)) {
                throw FormatException.of(
                        "%s: trainable_token_indices holds %d, but %s has %d rows",
                        configFile, ids.get(i), module, table.size(0));
            }
            table.narrow(0, ids.get(i), 1).copyFrom(rows.narrow(0, i, 1));
        }
    }

    /**
     * Takes the head's tensors out where the model has one table for both: they must be those of
     * the embeddings once more, or the only ones.
     */
    private void takeTiedHead(String table, Set<String> taken) {
        if (keys.containsKey("lm_head.lora_A.weight")) {
            throw FormatException.of(
                    "%s: LoRA on lm_head, but the model has one table for embeddings and head, of which PEFT changes only"
                            + " one; merge the adapter with PEFT first",
                    configFile);
        }
        String module = table.substring(0, table.lastIndexOf('.'));
        Map<String, String> twins =
                Map.of(SavedModule.HEAD_NAME, table, "lm_head" + ROWS, module + ROWS);
        twins.forEach((ofHead, ofTable) -> {
            String head = keys.remove(ofHead);
            if (head == null || !taken.add(ofHead)) {
                return;
            }
            String other = keys.putIfAbsent(ofTable, head);
            if (other != null && !same(stored, head, other)) {
                throw apart(configFile);
            }
        });
    }

    /** The error for two tables where the model has one. */
    static FormatException apart(Path configFile) {
        return FormatException.of(
                "%s: embeddings and head were trained apart, but the model has one table for both; train"
                        + " the adapter with ensure_weight_tying",
                configFile);
    }

    /** Whether two tensors of a file hold the same bytes. */
    static boolean same(Checkpoint stored, String one, String other) {
        try (Arena arena = Arena.ofConfined()) {
            return stored.read(one, arena).data().mismatch(stored.read(other, arena).data()) < 0;
        }
    }
}
