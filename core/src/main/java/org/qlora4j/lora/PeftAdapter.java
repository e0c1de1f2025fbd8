package org.qlora4j.lora;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.LinearUpdate;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsFile;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * A LoRA adapter in the files of PEFT: {@code adapter_config.json} and {@code
 * adapter_model.safetensors}, with tensors named {@code base_model.model.PATH.lora_A.weight},
 * {@code …lora_B.weight} and {@code …lora_magnitude_vector}, and weights that learn whole under
 * their own names behind the same prefix.
 */
public final class PeftAdapter {
    /** The file that says what the adapter is. */
    public static final String CONFIG_FILE = PeftConfigFile.NAME;

    private static final String PREFIX = "base_model.model.";

    private PeftAdapter() {}

    /**
     * Writes an adapter's files, all weights in f32, into an existing folder; each is whole or not
     * there.
     */
    public static void save(LoraAdapter adapter, Path folder, @Nullable String baseModel) {
        try (Arena arena = Arena.ofConfined();
                TensorScope scope = TensorScope.open()) {
            SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
            for (Parameter p : adapter.parameters()) {
                TensorBytes.add(writer, PREFIX + p.name(), p.finest().to(DType.F32), arena);
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
        List<String> paths = adapter.updates().keySet().stream().map(LoraLinear::path).toList();
        AtomicFiles.writeText(
                folder.resolve(PeftConfigFile.NAME),
                PeftConfigFile.text(
                        adapter.config(), paths, baseModel, adapter.sharedTable() != null));
    }

    /** Reads an adapter to compute with and attaches it to its layers; the caller closes it. */
    public static LoraAdapter load(
            Path folder, List<LoraLinear> linears, List<Parameter> parameters, DType compute) {
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
            List<LoraLinear> linears,
            List<Parameter> parameters,
            DType compute,
            boolean trainable) {
        Path configFile = folder.resolve(PeftConfigFile.NAME);
        LoraConfig config = PeftConfigFile.read(configFile);
        List<Parameter> whole;
        try {
            whole = SavedModule.chosen(config, linears, parameters);
        } catch (ConfigException e) {
            throw FormatException.of("%s: %s", configFile, e.getMessage());
        }
        Path file = folder.resolve(Checkpoint.ADAPTER_FILE);
        if (!Files.isRegularFile(file)) {
            throw new FormatException(
                    file + " is missing; it lies beside adapter_config.json in a PEFT adapter");
        }
        Map<LoraLinear, LinearUpdate> updates = new LinkedHashMap<>();
        List<SavedModule> modules = new ArrayList<>();
        try (SafetensorsFile stored = SafetensorsFile.open(file);
                TensorScope scope = TensorScope.open()) {
            Map<String, String> keys = keysByPath(stored);
            readUpdates(stored, keys, config, linears, compute, trainable, updates);
            for (Parameter base : whole) {
                String key = keys.remove(base.name());
                if (key == null) {
                    throw FormatException.of(
                            "%s holds no %s, which modules_to_save calls for; save the adapter again",
                            stored.path(), base.name());
                }
                Tensor value = read(stored, key, base.value().shape());
                modules.add(
                        new SavedModule(
                                base,
                                LoraAdapter.parameter(base.name(), value, compute, trainable)));
            }
            boolean sharedTable = SavedModule.bringsSharedTable(modules, parameters);
            if (sharedTable) {
                if (!PeftConfigFile.keepsHeadTied(configFile)) {
                    throw FormatException.of(
                            "%s: embeddings and head were trained apart, but the model has one table for both; train"
                                    + " the adapter with ensure_weight_tying",
                            configFile);
                }
                keys.remove(SavedModule.HEAD_NAME);
            }
            if (!keys.isEmpty()) {
                throw FormatException.of(
                        "%s holds %s, for which the model has no linear layer; is this its base model?",
                        stored.path(), new TreeSet<>(keys.values()).first());
            }
            if (updates.isEmpty()) {
                throw FormatException.of(
                        "%s holds no LoRA factors; save the adapter again", stored.path());
            }
            LoraAdapter adapter = new LoraAdapter(config, updates, modules, sharedTable);
            adapter.attach();
            return adapter;
        } catch (RuntimeException | Error e) {
            updates.values().forEach(LinearUpdate::close);
            modules.forEach(module -> module.copy().close());
            throw e;
        }
    }

    private static void readUpdates(
            SafetensorsFile stored,
            Map<String, String> keys,
            LoraConfig config,
            List<LoraLinear> linears,
            DType compute,
            boolean trainable,
            Map<LoraLinear, LinearUpdate> updates) {
        for (LoraLinear linear : linears) {
            String keyA = keys.remove(linear.path() + ".lora_A.weight");
            String keyB = keys.remove(linear.path() + ".lora_B.weight");
            if (keyA == null && keyB == null) {
                continue;
            }
            if (keyA == null || keyB == null) {
                throw FormatException.of(
                        "%s holds %s but not the other factor of the pair; save the adapter again",
                        stored.path(), keyA == null ? keyB : keyA);
            }
            int rank = config.rankOf(linear.path());
            Tensor a = read(stored, keyA, rank, linear.weight().in());
            Tensor b = read(stored, keyB, linear.weight().out(), rank);
            Tensor m = null;
            if (config.useDora()) {
                String keyM = keys.remove(linear.path() + LoraAdapter.MAGNITUDE);
                if (keyM == null) {
                    throw FormatException.of(
                            "%s holds no %s%s, which use_dora calls for; save the adapter again",
                            stored.path(), linear.path(), LoraAdapter.MAGNITUDE);
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
    private static Map<String, String> keysByPath(SafetensorsFile stored) {
        Map<String, String> out = new LinkedHashMap<>();
        for (String key : stored.names()) {
            String plain = key.startsWith(PREFIX) ? key.substring(PREFIX.length()) : key;
            plain = plain.replaceFirst("\\.lora_([AB])\\.[^.]+\\.weight$", ".lora_$1.weight");
            plain = plain.replaceFirst("(\\.lora_magnitude_vector)(\\.[^.]+)?\\.weight$", "$1");
            out.put(plain, key);
        }
        return out;
    }

    private static Tensor read(SafetensorsFile stored, String key, long... shape) {
        long[] actual = stored.info(key).shape();
        if (!Arrays.equals(actual, shape)) {
            throw FormatException.of(
                    "%s: tensor %s has shape %s, the model and adapter_config.json call for %s; is this its base model?",
                    stored.path(), key, Arrays.toString(actual), Arrays.toString(shape));
        }
        Tensor tensor = TensorBytes.toTensor(stored.tensor(key));
        if (!tensor.dtype().isFloat() || !tensor.allFinite()) {
            throw FormatException.of(
                    "%s: tensor %s must hold finite numbers of type F32, F16 or BF16; save the adapter again",
                    stored.path(), key);
        }
        return tensor.to(DType.F32);
    }
}
