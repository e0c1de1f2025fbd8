package org.qlora4j.lora;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.LinearUpdate;
import org.qlora4j.autograd.LoraFactors;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Notice;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * A LoRA adapter in the files of PEFT: {@code adapter_config.json} and {@code
 * adapter_model.safetensors}, with tensors named {@code base_model.model.PATH.lora_A.weight},
 * {@code …lora_B.weight} and {@code …lora_magnitude_vector}, and weights that learn whole under
 * their own names behind the same prefix.
 */
public final class PeftAdapter {
    /** The file that says what the adapter is. */
    public static final String CONFIG_FILE = PeftConfigFile.NAME;

    private static final Pattern TWICE =
            Pattern.compile("\\.(original_module|modules_to_save)\\.weight$");
    private static final String PREFIX = "base_model.model.";

    private PeftAdapter() {}

    /**
     * Writes an adapter's files, all weights in f32, into an existing folder; each is whole or not
     * there.
     *
     * <p>An update in the place of a principal part P = scale * B₀A₀ (PiSSA) is written as the
     * plain one of twice the rank that gives the same on the base model as it was, [A; A₀] and [B,
     * -B₀].
     */
    public static void save(LoraAdapter adapter, Path folder, @Nullable String baseModel) {
        save(adapter, folder, baseModel, "CAUSAL_LM");
    }

    /**
     * As {@link #save(LoraAdapter, Path, String)}.
     *
     * @param taskType PEFT's name of what the model does
     */
    public static void save(
            LoraAdapter adapter, Path folder, @Nullable String baseModel, String taskType) {
        boolean inPlaceOfParts = false;
        try (Arena arena = Arena.ofConfined();
                TensorScope scope = TensorScope.open()) {
            SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
            for (Map.Entry<LinearLayer, LinearUpdate> entry : adapter.updates().entrySet()) {
                LoraFactors principal = entry.getKey().principal();
                inPlaceOfParts |= principal != null;
                for (Parameter p : entry.getValue().parameters()) {
                    try (TensorScope each = TensorScope.open()) {
                        Tensor value = p.finest().to(DType.F32);
                        if (principal != null) {
                            value = beside(value, p == entry.getValue().lora().a(), principal);
                        }
                        TensorBytes.add(writer, PREFIX + p.name(), value, arena);
                    }
                }
            }
            for (Parameter p : adapter.wholeParameters()) {
                TensorBytes.add(
                        writer,
                        PREFIX + SavedModule.inPeft(p.name()),
                        p.finest().to(DType.F32),
                        arena);
            }
            Parameter table = adapter.sharedTable();
            if (table != null) { // PEFT writes it twice
                TensorBytes.add(
                        writer,
                        PREFIX + SavedModule.HEAD_NAME,
                        table.finest().to(DType.F32),
                        arena);
            }
            writer.write(folder.resolve(Checkpoint.ADAPTER_FILE));
        }
        List<String> paths = adapter.updates().keySet().stream().map(LinearLayer::path).toList();
        boolean transposed =
                adapter.updates().keySet().stream().anyMatch(LinearLayer::isStoredTransposed);
        LoraConfig config = inPlaceOfParts ? adapter.config().doubled() : adapter.config();
        AtomicFiles.writeText(
                folder.resolve(PeftConfigFile.NAME),
                PeftConfigFile.text(
                        config,
                        paths,
                        baseModel,
                        taskType,
                        adapter.sharedTable() != null,
                        transposed));
    }

    /** A factor with that of the principal part, which is to be subtracted, in PEFT's order. */
    private static Tensor beside(Tensor factor, boolean isA, LoraFactors principal) {
        return isA
                ? Tensors.cat(List.of(factor, principal.a().value().to(DType.F32)), 0)
                : Tensors.cat(List.of(factor, principal.b().value().to(DType.F32).neg()), 1);
    }

    /**
     * A and B of the principal part of a layer's weight, F32, as an adapter's files keep them.
     *
     * @param config of the run that wrote them
     * @param shape of the weight
     */
    static Tensor[] startOf(Path folder, LoraConfig config, String path, long[] shape) {
        int rank = config.rankOf(path);
        try (Checkpoint stored = Checkpoint.open(file(folder));
                TensorScope scope = TensorScope.open()) {
            String key = PREFIX + path + ".lora_";
            Tensor a = read(stored, key + "A.weight", 2L * rank, shape[1]);
            Tensor b = read(stored, key + "B.weight", shape[0], 2L * rank);
            return new Tensor[] {
                scope.promote(a.narrow(0, rank, rank).copy()),
                scope.promote(b.narrow(1, rank, rank).neg())
            };
        }
    }

    /**
     * Reads an adapter to compute with; it is attached to nothing. The caller closes it.
     *
     * @param linears the linear layers of the model but its head
     * @param parameters its weights that are not in 4 bits
     * @throws FormatException if files are missing or damaged, or belong to a model of other shape
     */
    public static LoraAdapter read(
            Path folder, List<LinearLayer> linears, List<Parameter> parameters, DType compute) {
        LoraConfig config = PeftConfigFile.read(folder.resolve(PeftConfigFile.NAME));
        return read(folder, config, linears, parameters, compute, false);
    }

    /** Reads an adapter to compute with and attaches it to its layers; the caller closes it. */
    public static LoraAdapter load(
            Path folder, List<LinearLayer> linears, List<Parameter> parameters, DType compute) {
        return load(folder, linears, parameters, compute, false);
    }

    /**
     * Reads an adapter and attaches it to its layers; the caller closes it.
     *
     * @param linears the linear layers of the model but its head
     * @param parameters its weights that are not in 4 bits
     * @param trainable whether it goes on learning
     * @throws FormatException if files are missing or damaged, or belong to a model of other shape
     */
    public static LoraAdapter load(
            Path folder,
            List<LinearLayer> linears,
            List<Parameter> parameters,
            DType compute,
            boolean trainable) {
        LoraConfig config = PeftConfigFile.read(folder.resolve(PeftConfigFile.NAME));
        LoraAdapter adapter = read(folder, config, linears, parameters, compute, trainable);
        adapter.attach();
        return adapter;
    }

    /**
     * Reads an adapter that goes on learning, whose layers' weights may be in two parts; it is
     * attached to nothing. The caller closes it.
     *
     * @param config of the run that wrote it
     * @param linears the linear layers of the model but its head
     * @param parameters its weights that are not in 4 bits
     * @throws FormatException if files are missing or damaged, or belong to a model of other shape
     */
    public static LoraAdapter resume(
            Path folder,
            LoraConfig config,
            List<LinearLayer> linears,
            List<Parameter> parameters,
            DType compute) {
        return read(folder, config, linears, parameters, compute, true);
    }

    private static LoraAdapter read(
            Path folder,
            LoraConfig config,
            List<LinearLayer> linears,
            List<Parameter> parameters,
            DType compute,
            boolean trainable) {
        Path configFile = folder.resolve(PeftConfigFile.NAME);
        List<Parameter> whole;
        try {
            whole = SavedModule.chosen(config, linears, parameters);
        } catch (ConfigException e) {
            throw FormatException.of("%s: %s", configFile, e.getMessage());
        }
        Map<LinearLayer, LinearUpdate> updates = new LinkedHashMap<>();
        List<SavedModule> modules = new ArrayList<>();
        try (Checkpoint stored = Checkpoint.open(file(folder));
                TensorScope scope = TensorScope.open()) {
            boolean neoxHead =
                    parameters.stream().anyMatch(p -> SavedModule.isOfNeoxHead(p.name()));
            Map<String, String> keys = keysByPath(stored, neoxHead);
            readUpdates(stored, keys, config, linears, compute, trainable, updates);
            sayWhatIsNotCovered(stored.files().getFirst(), config, linears, updates);
            for (Parameter base : whole) {
                String key = keys.remove(base.name());
                if (key == null) {
                    throw FormatException.of(
                            "%s holds no %s, which modules_to_save calls for; save the adapter again",
                            stored.files().getFirst(), base.name());
                }
                Tensor value = read(stored, key, base.value().shape());
                modules.add(
                        new SavedModule(
                                base,
                                LoraAdapter.parameter(base.name(), value, compute, trainable)));
            }
            requireOneTable(stored, keys, configFile, SavedModule.sharedTable(modules, parameters));
            new AdapterTables(stored, configFile, keys, config, parameters)
                    .read(whole, compute, trainable, modules);
            boolean sharedTable = SavedModule.bringsSharedTable(modules, parameters);
            if (!keys.isEmpty()) {
                throw FormatException.of(
                        "%s holds %s, for which the model has no linear layer; is this its base model?",
                        stored.files().getFirst(), new TreeSet<>(keys.values()).first());
            }
            if (updates.isEmpty() && modules.isEmpty()) {
                throw FormatException.of(
                        "%s holds no LoRA factors; save the adapter again",
                        stored.files().getFirst());
            }
            return new LoraAdapter(config, updates, modules, sharedTable);
        } catch (RuntimeException | Error e) {
            updates.values().forEach(LinearUpdate::close);
            modules.forEach(module -> module.copy().close());
            throw e;
        }
    }

    /** Names in a message. */
    private static final int SHOWN = 3;

    /** Warns of layers that the configuration chooses and the file has no factors for. */
    private static void sayWhatIsNotCovered(
            Path file,
            LoraConfig config,
            List<LinearLayer> linears,
            Map<LinearLayer, LinearUpdate> updates) {
        if (config.targetModules() instanceof TargetModules.AllLinear) {
            return; // PEFT writes it as names, so this is a file without any
        }
        List<String> missing =
                linears.stream()
                        .filter(linear -> !updates.containsKey(linear))
                        .map(LinearLayer::path)
                        .filter(path -> LoraAdapter.chooses(config, path))
                        .toList();
        if (!missing.isEmpty()) {
            Notice.say(
                    "%s holds no factors for %d of the %d layers that target_modules names, which stay as they are: %s%s"
                            .formatted(
                                    file,
                                    missing.size(),
                                    missing.size() + updates.size(),
                                    String.join(
                                            ", ",
                                            missing.subList(0, Math.min(SHOWN, missing.size()))),
                                    missing.size() > SHOWN
                                            ? " and %d more".formatted(missing.size() - SHOWN)
                                            : ""));
        }
    }

    /**
     * Bytes that an adapter's weights take once they are {@linkplain #read read}, from the head of
     * its file. Vectors stay in f32.
     */
    public static long bytes(Path folder, DType compute) {
        try (Checkpoint stored = Checkpoint.open(file(folder))) {
            long bytes = 0;
            for (String key : stored.names()) {
                long[] shape = stored.info(key).shape();
                long count = Arrays.stream(shape).reduce(1, Math::multiplyExact);
                bytes += count * (shape.length < 2 ? compute.wide() : compute).bytes();
            }
            return bytes;
        }
    }

    /** Rows of the embedding table or head that an adapter brings; empty if it brings neither. */
    public static OptionalInt tableRows(Path folder) {
        try (Checkpoint stored = Checkpoint.open(file(folder))) {
            for (Map.Entry<String, String> key : keysByPath(stored).entrySet()) {
                long[] shape = stored.info(key.getValue()).shape();
                if (SavedModule.isTable(key.getKey()) && shape.length == 2) {
                    return OptionalInt.of(Math.toIntExact(shape[0]));
                }
            }
            return OptionalInt.empty();
        }
    }

    /** Outputs of the classifier's head that an adapter brings; empty if it brings none. */
    public static OptionalInt labels(Path folder) {
        try (Checkpoint stored = Checkpoint.open(file(folder))) {
            String key = keysByPath(stored).get("classifier.out_proj.weight");
            return key == null
                    ? OptionalInt.empty()
                    : OptionalInt.of(Math.toIntExact(stored.info(key).shape()[0]));
        }
    }

    /**
     * Checks the table that is embeddings and head. The file must hold it twice alike, or say that
     * they were kept tied.
     *
     * @param table that {@code modules_to_save} names; null for none
     */
    private static void requireOneTable(
            Checkpoint stored,
            Map<String, String> keys,
            Path configFile,
            @Nullable Parameter table) {
        if (table == null) {
            return;
        }
        String head = keys.remove(SavedModule.HEAD_NAME);
        String own = stored.has(PREFIX + table.name()) ? PREFIX + table.name() : table.name();
        boolean alike = head != null && stored.has(own) && AdapterTables.same(stored, head, own);
        boolean once =
                head == null
                        && SavedModule.isTiedByName(table.name())
                        && PeftConfigFile.keepsHeadTied(configFile);
        if (!alike && !once) {
            throw AdapterTables.apart(configFile);
        }
    }

    /** The file with an adapter's tensors. */
    public static Path file(Path folder) {
        Path older = folder.resolve(Checkpoint.TORCH_ADAPTER);
        Path file = folder.resolve(Checkpoint.ADAPTER_FILE);
        if (!Files.isRegularFile(file) && Files.isRegularFile(older)) {
            return older;
        }
        if (!Files.isRegularFile(file)) {
            throw new FormatException(
                    file + " is missing; it lies beside adapter_config.json in a PEFT adapter");
        }
        return file;
    }

    private static void readUpdates(
            Checkpoint stored,
            Map<String, String> keys,
            LoraConfig config,
            List<LinearLayer> linears,
            DType compute,
            boolean trainable,
            Map<LinearLayer, LinearUpdate> updates) {
        for (LinearLayer linear : linears) {
            String keyA = keys.remove(linear.path() + ".lora_A.weight");
            String keyB = keys.remove(linear.path() + ".lora_B.weight");
            if (keyA == null && keyB == null) {
                continue;
            }
            if (keyA == null || keyB == null) {
                throw FormatException.of(
                        "%s holds %s but not the other factor of the pair; save the adapter again",
                        stored.files().getFirst(), keyA == null ? keyB : keyA);
            }
            int rank = config.rankOf(linear.path());
            boolean inPlaceOfPart = linear.principal() != null; // then its own come first
            int stores = inPlaceOfPart ? 2 * rank : rank;
            Tensor a = read(stored, keyA, stores, linear.weight().in());
            Tensor b = read(stored, keyB, linear.weight().out(), stores);
            if (inPlaceOfPart) {
                a = a.narrow(0, 0, rank).copy();
                b = b.narrow(1, 0, rank).copy();
            }
            Tensor m = null;
            if (config.useDora()) {
                String keyM = keys.remove(linear.path() + LoraAdapter.MAGNITUDE);
                if (keyM == null) {
                    throw FormatException.of(
                            "%s holds no %s%s, which use_dora calls for; save the adapter again",
                            stored.files().getFirst(), linear.path(), LoraAdapter.MAGNITUDE);
                }
                m = read(stored, keyM, linear.weight().out());
            }
            updates.put(linear, LoraAdapter.update(config, linear, a, b, m, compute, trainable));
        }
    }

    /**
     * Keys in the file by {@code PATH.lora_A.weight} and the like: without prefix, and without an
     * adapter's name inside.
     */
    static Map<String, String> keysByPath(Checkpoint stored) {
        return keysByPath(stored, stored.names().stream().anyMatch(PeftAdapter::isNeox));
    }

    private static boolean isNeox(String key) {
        return key.startsWith("gpt_neox.") || key.startsWith(PREFIX + "gpt_neox.");
    }

    /**
     * As {@link #keysByPath(Checkpoint)}.
     *
     * @param neoxHead whether {@code lm_head} in the file means GPT-NeoX's {@code embed_out}
     */
    private static Map<String, String> keysByPath(Checkpoint stored, boolean neoxHead) {
        Map<String, String> out = new LinkedHashMap<>();
        for (String key : stored.names()) {
            String plain = key.startsWith(PREFIX) ? key.substring(PREFIX.length()) : key;
            plain = plain.replaceFirst("\\.lora_([AB])\\.[^.]+\\.weight$", ".lora_$1.weight");
            plain = plain.replaceFirst("\\.(lora_embedding_[AB])\\.[^.]+$", ".$1");
            plain = plain.replaceFirst("\\.base_layer\\.weight$", ".weight"); // of a table
            plain = plain.replaceFirst("(\\.lora_magnitude_vector)(\\.[^.]+)?\\.weight$", "$1");
            out.put(SavedModule.inCheckpoint(plain, neoxHead), key);
        }
        // of tables that grew PEFT keeps the old and the new once more under names of its modules
        out.keySet()
                .removeIf(plain -> {
                    String named = TWICE.matcher(plain).replaceFirst(".weight");
                    return !named.equals(plain) && out.containsKey(named);
                });
        return out;
    }

    /** A tensor of finite numbers, F32, of this shape. */
    static Tensor read(Checkpoint stored, String key, long... shape) {
        long[] actual = stored.info(key).shape();
        if (!Arrays.equals(actual, shape)) {
            throw FormatException.of(
                    "%s: tensor %s has shape %s, the model and adapter_config.json call for %s; is this its base model?",
                    stored.files().getFirst(),
                    key,
                    Arrays.toString(actual),
                    Arrays.toString(shape));
        }
        Tensor tensor;
        try (Arena arena = Arena.ofConfined()) {
            tensor = TensorBytes.toTensor(stored.read(key, arena));
        }
        if (!tensor.dtype().isFloat() || !tensor.allFinite()) {
            throw FormatException.of(
                    "%s: tensor %s must hold finite numbers of type F32, F16 or BF16; save the adapter again",
                    stored.files().getFirst(), key);
        }
        return tensor.to(DType.F32);
    }
}
