package org.qlora4j.lora;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.LoraFactors;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsFile;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.FormatException;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;

/**
 * A LoRA adapter in the files of PEFT: {@code adapter_config.json} and {@code
 * adapter_model.safetensors}, with tensors named {@code base_model.model.PATH.lora_A.weight} and
 * {@code …lora_B.weight}.
 */
public final class PeftAdapter {
    /** The file that says what the adapter is. */
    public static final String CONFIG_FILE = PeftConfigFile.NAME;

    private static final String PREFIX = "base_model.model.";

    private PeftAdapter() {}

    /**
     * Writes an adapter's files, A and B in f32, into an existing folder; each is whole or not
     * there.
     */
    public static void save(LoraAdapter adapter, Path folder, @Nullable String baseModel) {
        try (Arena arena = Arena.ofConfined();
                TensorScope scope = TensorScope.open()) {
            SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
            for (Parameter p : adapter.parameters()) {
                Tensor weight = p.trainable() ? p.master() : p.value();
                TensorBytes.add(writer, PREFIX + p.name(), weight.to(DType.F32), arena);
            }
            writer.write(folder.resolve(Checkpoint.ADAPTER_FILE));
        }
        List<String> paths = adapter.factors().keySet().stream().map(LoraLinear::path).toList();
        AtomicFiles.writeText(
                folder.resolve(PeftConfigFile.NAME),
                PeftConfigFile.text(adapter.config(), paths, baseModel));
    }

    /** Reads an adapter to compute with and attaches it to its layers; the caller closes it. */
    public static LoraAdapter load(Path folder, List<LoraLinear> linears, DType compute) {
        return load(folder, linears, compute, false);
    }

    /**
     * Reads an adapter and attaches it to its layers; the caller closes it.
     *
     * @param linears the linear layers of the model but its head
     * @param trainable whether it goes on learning
     * @throws FormatException if files are missing or damaged, or belong to a model of other shape
     */
    public static LoraAdapter load(
            Path folder, List<LoraLinear> linears, DType compute, boolean trainable) {
        LoraConfig config = PeftConfigFile.read(folder.resolve(PeftConfigFile.NAME));
        Path file = folder.resolve(Checkpoint.ADAPTER_FILE);
        if (!Files.isRegularFile(file)) {
            throw new FormatException(
                    file + " is missing; it lies beside adapter_config.json in a PEFT adapter");
        }
        Map<LoraLinear, LoraFactors> factors = new LinkedHashMap<>();
        try (SafetensorsFile stored = SafetensorsFile.open(file);
                TensorScope scope = TensorScope.open()) {
            readFactors(stored, config, linears, compute, trainable, factors);
        } catch (RuntimeException | Error e) {
            factors.values().forEach(PeftAdapter::free);
            throw e;
        }
        LoraAdapter adapter = new LoraAdapter(config, factors);
        adapter.attach();
        return adapter;
    }

    private static void readFactors(
            SafetensorsFile stored,
            LoraConfig config,
            List<LoraLinear> linears,
            DType compute,
            boolean trainable,
            Map<LoraLinear, LoraFactors> factors) {
        Map<String, String> keys = keysByPath(stored);
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
            factors.put(linear, LoraAdapter.factors(config, linear, a, b, compute, trainable));
        }
        if (!keys.isEmpty()) {
            throw FormatException.of(
                    "%s holds %s, for which the model has no linear layer; is this its base model?",
                    stored.path(), new TreeSet<>(keys.values()).first());
        }
        if (factors.isEmpty()) {
            throw FormatException.of(
                    "%s holds no LoRA factors; save the adapter again", stored.path());
        }
    }

    private static void free(LoraFactors f) {
        f.a().close();
        f.b().close();
    }

    /**
     * Keys in the file by {@code PATH.lora_A.weight}: without prefix, and without an adapter's name
     * inside.
     */
    private static Map<String, String> keysByPath(SafetensorsFile stored) {
        Map<String, String> out = new LinkedHashMap<>();
        for (String key : stored.names()) {
            String plain = key.startsWith(PREFIX) ? key.substring(PREFIX.length()) : key;
            out.put(plain.replaceFirst("\\.lora_([AB])\\.[^.]+\\.weight$", ".lora_$1.weight"), key);
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
