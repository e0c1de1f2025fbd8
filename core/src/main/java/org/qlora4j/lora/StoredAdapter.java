package org.qlora4j.lora;

import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.DoraFactors;
import org.qlora4j.autograd.LinearUpdate;
import org.qlora4j.autograd.LoraFactors;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.FormatException;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * A PEFT adapter in its files, worked into weights that are read one at a time: nothing of a model
 * need be in memory but the weight at hand. {@link PeftAdapter} loads one to compute with instead.
 */
public final class StoredAdapter implements WeightChanges {
    private static final String ROWS = ".token_adapter.trainable_tokens_delta";

    private final Path configFile;
    private final LoraConfig config;
    private final Checkpoint stored;
    private final Map<String, String> keys; // in the file, by names without prefix

    private StoredAdapter(Path configFile, LoraConfig config, Checkpoint stored) {
        this.configFile = configFile;
        this.config = config;
        this.stored = stored;
        this.keys = PeftAdapter.keysByPath(stored);
    }

    /**
     * Opens an adapter.
     *
     * @param folder of a PEFT adapter
     * @throws FormatException if files are missing or damaged, or use what is not supported
     */
    public static StoredAdapter open(Path folder) {
        Path file = folder.resolve(PeftConfigFile.NAME);
        LoraConfig config = PeftConfigFile.read(file);
        return new StoredAdapter(file, config, Checkpoint.open(PeftAdapter.file(folder)));
    }

    public LoraConfig config() {
        return config;
    }

    /** The file of its tensors, for messages. */
    Path origin() {
        return stored.files().getFirst();
    }

    @Override
    public boolean changes(String name) {
        String path = path(name);
        return keys.containsKey(name)
                || (name.endsWith(".weight")
                        ? hasFactors(path)
                                || keys.containsKey(path + ".lora_embedding_A")
                                || keys.containsKey(path + ROWS)
                        : keys.containsKey(path + ".base_layer.bias")
                                || keys.containsKey(path + ".lora_B.bias"));
    }

    private boolean hasFactors(String path) {
        return keys.containsKey(path + ".lora_A.weight");
    }

    /** Whether the adapter is nothing but factors A and B of linears. */
    public boolean isPlain() {
        return keys.keySet().stream().allMatch(key -> key.matches(".+\\.lora_[AB]\\.weight"));
    }

    /** Whether a weight has factors of its own. */
    public boolean hasFactorsOf(String weight) {
        return weight.endsWith(".weight") && hasFactors(path(weight));
    }

    /**
     * Factor A [rank, in] of a weight, F32 in the innermost scope.
     *
     * @param shape of the weight
     */
    public Tensor factorA(String weight, long[] shape) {
        String path = path(weight);
        return tensor(path + ".lora_A.weight", config.rankOf(path), shape[1]);
    }

    /** Factor B [out, rank], as {@link #factorA}. */
    public Tensor factorB(String weight, long[] shape) {
        String path = path(weight);
        return tensor(path + ".lora_B.weight", shape[0], config.rankOf(path));
    }

    /** What a reader that scales by {@code lora_alpha / r} has to multiply B by. */
    public double correction(String weight) {
        String path = path(weight);
        return config.scalingOf(path) * config.rankOf(path) / config.loraAlpha();
    }

    /** The module that a weight or bias belongs to. */
    private static String path(String name) {
        return name.substring(0, Math.max(0, name.lastIndexOf('.')));
    }

    /** Rank of a weight's factors. */
    int rankOf(String weight) {
        return config.rankOf(path(weight));
    }

    /** What a weight's factors are multiplied by. */
    double scalingOf(String weight) {
        return config.scalingOf(path(weight));
    }

    @Override
    public long[] shape(String name, long[] base) {
        String key = keys.get(name);
        return key == null ? base : stored.info(key).shape();
    }

    @Override
    public Tensor merged(String name, Tensor base, boolean transposed) {
        String path = path(name);
        String whole = keys.get(name);
        Tensor table = base;
        if (whole != null) {
            long[] shape = stored.info(whole).shape();
            boolean rowsAdded =
                    SavedModule.isTable(name)
                            && shape.length == 2
                            && shape[0] >= base.size(0)
                            && shape[1] == base.size(1);
            table =
                    transposed
                            ? PeftAdapter.read(stored, whole, base.size(1), base.size(0)).t()
                            : PeftAdapter.read(stored, whole, rowsAdded ? shape : base.shape());
        }
        Tensor merged = table.contiguous().copy();
        if (!name.endsWith(".weight")) {
            mergeBias(path, merged);
            return merged;
        }
        if (hasFactors(path)) {
            mergeFactors(path, merged);
        }
        if (keys.containsKey(path + ".lora_embedding_A")) {
            mergeEmbedding(path, merged);
        }
        if (keys.containsKey(path + ROWS)) {
            mergeRows(path, merged);
        }
        return merged;
    }

    /** Single rows of a table, in place of the model's. */
    private void mergeRows(String path, Tensor table) {
        String name = path.substring(path.lastIndexOf('.') + 1);
        String listed = SavedModule.isEmbedding(path) ? name : "embed_tokens";
        List<Integer> ids = PeftConfigFile.tokens(configFile, listed).get(name);
        if (ids == null || ids.stream().anyMatch(id -> id >= table.size(0))) {
            throw FormatException.of(
                    "%s: trainable_token_indices does not name rows of %s, but the file holds some",
                    configFile, path);
        }
        try (TensorScope scope = TensorScope.open()) {
            Tensor rows = tensor(path + ROWS, ids.size(), table.size(1));
            for (int i = 0; i < ids.size(); i++) {
                table.narrow(0, ids.get(i), 1).copyFrom(rows.narrow(0, i, 1));
            }
        }
    }

    private void mergeFactors(String path, Tensor weight) {
        int rank = config.rankOf(path);
        try (TensorScope scope = TensorScope.open()) {
            Tensor a = tensor(path + ".lora_A.weight", rank, weight.size(1));
            Tensor b = tensor(path + ".lora_B.weight", weight.size(0), rank);
            LoraFactors lora =
                    new LoraFactors(
                            Parameter.frozen("A", a),
                            Parameter.frozen("B", b),
                            config.scalingOf(path),
                            0);
            try (LinearUpdate update = withMagnitudes(path, lora, weight.size(0))) {
                update.mergeInto(weight);
            }
        }
    }

    private LinearUpdate withMagnitudes(String path, LoraFactors lora, long rows) {
        if (!config.useDora()) {
            return lora;
        }
        Tensor m = tensor(path + LoraAdapter.MAGNITUDE, rows);
        return new DoraFactors(lora, Parameter.frozen("m", m));
    }

    /** An embedding has A [r, vocabulary] and B [dim, r]; the table gets (BA)ᵀ. */
    private void mergeEmbedding(String path, Tensor table) {
        int rank = config.rankOf(path);
        try (TensorScope scope = TensorScope.open()) {
            Tensor a = tensor(path + ".lora_embedding_A", rank, table.size(0));
            Tensor b = tensor(path + ".lora_embedding_B", table.size(1), rank);
            table.addmmInPlace(a.t(), b.t(), 1, config.scalingOf(path));
        }
    }

    private void mergeBias(String path, Tensor bias) {
        try (TensorScope scope = TensorScope.open()) {
            if (keys.containsKey(path + ".base_layer.bias")) {
                bias.copyFrom(tensor(path + ".base_layer.bias", bias.size(0)));
            }
            if (keys.containsKey(path + ".lora_B.bias")) {
                Tensor added = tensor(path + ".lora_B.bias", bias.size(0));
                bias.addInPlace(added, config.scalingOf(path));
            }
        }
    }

    private Tensor tensor(String name, long... shape) {
        String key = keys.get(name);
        if (key == null) {
            throw FormatException.of(
                    "%s holds no %s, which its config or its other factor calls for; save the adapter again",
                    stored.files().getFirst(), name);
        }
        return PeftAdapter.read(stored, key, shape);
    }

    @Override
    public void requireFits(Collection<String> names, @Nullable String tiedHead) {
        if (tiedHead != null) {
            takeTiedHead(names, tiedHead);
        }
        TreeSet<String> unused = new TreeSet<>(keys.keySet());
        for (String name : names) {
            String path = path(name);
            unused.remove(name);
            for (String part :
                    new String[] {
                        ".lora_A.weight",
                        ".lora_B.weight",
                        LoraAdapter.MAGNITUDE,
                        ".lora_embedding_A",
                        ".lora_embedding_B",
                        ".base_layer.bias",
                        ".lora_B.bias",
                        ROWS
                    }) {
                unused.remove(path + part);
            }
        }
        if (!unused.isEmpty()) {
            throw FormatException.of(
                    "%s holds %s, for which the model has no weight; is this its base model?",
                    stored.files().getFirst(), keys.get(unused.first()));
        }
    }

    /**
     * Takes the head's tensors out where the model has one table for both. They must be those of
     * the embeddings once more, or the only ones.
     */
    private void takeTiedHead(Collection<String> names, String head) {
        boolean factors =
                keys.containsKey(path(head) + ".lora_A.weight")
                        || keys.keySet().stream().anyMatch(k -> k.endsWith(".lora_embedding_A"));
        if (factors) {
            throw FormatException.of(
                    "%s: LoRA on embeddings or head, but the model has one table for both, of which PEFT changes only one;"
                            + " merge the adapter with PEFT first",
                    configFile);
        }
        for (String table : names) {
            if (!SavedModule.isTable(table) || table.equals(head)) {
                continue;
            }
            Map<String, String> twins = Map.of(head, table, path(head) + ROWS, path(table) + ROWS);
            twins.forEach((ofHead, ofTable) -> {
                String own = keys.remove(ofHead);
                String other = own == null ? null : keys.putIfAbsent(ofTable, own);
                if (own != null && other != null && !AdapterTables.same(stored, own, other)) {
                    throw AdapterTables.apart(configFile);
                }
                boolean once =
                        SavedModule.isTiedByName(table) && PeftConfigFile.keepsHeadTied(configFile);
                boolean alone = own == null && keys.containsKey(ofTable);
                if (alone && SavedModule.chooses(config, path(table)) && !once) {
                    throw AdapterTables.apart(configFile);
                }
            });
        }
    }

    @Override
    public int rows(int base) {
        int rows = base;
        for (Map.Entry<String, String> entry : keys.entrySet()) {
            long[] shape = stored.info(entry.getValue()).shape();
            if (SavedModule.isTable(entry.getKey()) && shape.length == 2) {
                rows = Math.max(rows, Math.toIntExact(shape[0]));
            }
        }
        return rows;
    }

    @Override
    public void close() {
        stored.close();
    }
}
