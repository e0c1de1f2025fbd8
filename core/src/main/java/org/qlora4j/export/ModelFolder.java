package org.qlora4j.export;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Weight;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.checkpoint.AtomicFolder;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.BnbInt8;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.SafetensorsFile;
import org.qlora4j.checkpoint.SafetensorsWriter;
import org.qlora4j.checkpoint.StoredType;
import org.qlora4j.checkpoint.TensorBytes;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.JsonProblem;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.lora.LinearLayer;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.Task;
import org.qlora4j.quant.Int8Matrix;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.quant.QuantizedMatrix;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.SerializationFeature;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * A whole model in the files of Hugging Face: {@code config.json}, {@code model.safetensors}, and
 * beside them whatever of {@link #COMPANIONS} the model it was made from has.
 */
public final class ModelFolder {
    /** Files that tokenizers are made of. */
    static final List<String> TOKENIZER =
            List.of(
                    "tokenizer.json",
                    "tokenizer_config.json",
                    "tokenizer.model",
                    "spiece.model",
                    "special_tokens_map.json",
                    "added_tokens.json",
                    "vocab.json",
                    "merges.txt");

    static final String GENERATION = "generation_config.json";
    static final String TEMPLATE = "chat_template.jinja";

    /** Files that go with the weights unchanged. */
    public static final List<String> COMPANIONS =
            Stream.of(List.of(GENERATION), TOKENIZER, List.of(TEMPLATE))
                    .flatMap(List::stream)
                    .toList();

    static final JsonMapper JSON =
            JsonMapper.builder()
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    .enable(SerializationFeature.INDENT_OUTPUT)
                    .build();

    private ModelFolder() {}

    /**
     * Writes a model into an existing folder; each file is whole or not there. Weights that learn
     * are written as their f32 master copies, so that training goes on from them without loss;
     * others as they are held, those in 4 bits as bitsandbytes stores them.
     *
     * @param source folder of the model it was made from, with config.json and tokenizer
     */
    public static void write(CausalModel model, Path source, Path folder) {
        SafetensorsWriter writer = new SafetensorsWriter(Map.of("format", "pt"));
        boolean tied = true;
        DType dtype = model.compute();
        for (Parameter p : model.parameters()) {
            add(writer, p);
            tied &= !(model.shape().hasOwnHead() && p.name().equals(model.shape().headTable()));
            dtype = (p.trainable() ? p.master() : p.value()).dtype();
        }
        ObjectNode config = readConfig(source);
        config.remove(List.of("torch_dtype", "quantization_config"));
        config.put("tie_word_embeddings", tied);
        config.put("dtype", name(dtype));
        Architecture architecture = model.shape().architecture();
        if (!architecture.newHeadClass().isEmpty()) {
            config.putArray("architectures").add(architecture.newHeadClass());
        }
        if (architecture.task() instanceof Task.Classify classify) {
            describe(classify, config);
        }
        try (Arena arena = Arena.ofConfined()) {
            QuantizedMatrix last = null;
            Int8Matrix in8bits = null;
            List<String> plain = new ArrayList<>();
            for (LinearLayer linear : model.linears()) {
                if (linear.weight() instanceof Weight.Quantized quantized) {
                    String name = linear.path() + ".weight";
                    last = quantized.matrix();
                    Bnb4bit.add(writer, TensorBytes.toStored(name, last, arena));
                } else if (linear.weight() instanceof Weight.Int8 int8) {
                    in8bits = int8.matrix();
                    BnbInt8.add(
                            writer,
                            linear.path() + ".weight",
                            in8bits.shape(),
                            Tensors.copyOf(in8bits.codes(), arena),
                            Tensors.copyOf(in8bits.scales(), arena));
                } else if (linear.weight() instanceof Weight.Blocks) {
                    throw new IllegalArgumentException(
                            linear.path()
                                    + " is in blocks of a GGUF file, which safetensors have not");
                } else {
                    plain.add(linear.path());
                    // a weight that was put in another's place is in no list
                    if (linear.weight() instanceof Weight.Dense(Parameter p)
                            && model.parameters().stream().noneMatch(listed -> listed == p)) {
                        add(writer, p);
                    }
                }
            }
            String head = architecture.newHead();
            if (!head.isEmpty()) {
                plain.add(head.substring(0, head.length() - 1));
            }
            if (last != null) {
                QuantConfig held =
                        new QuantConfig(
                                true,
                                last.type(),
                                last.scales().nestedAbsmax() != null,
                                last.blockSize());
                config.set("quantization_config", quantizationConfig(held, name(dtype), plain));
            }
            if (in8bits != null) {
                QuantConfig held = QuantConfig.DEFAULT.in8bit(in8bits.threshold());
                config.set("quantization_config", quantizationConfig(held, name(dtype), plain));
            }
            writer.write(folder.resolve(Checkpoint.MODEL_FILE));
        }
        writeConfig(config, folder);
        copyCompanions(source, folder, COMPANIONS);
    }

    /** Says of a model what it classifies, as transformers does. */
    private static void describe(Task.Classify classify, ObjectNode config) {
        config.remove("problem_type");
        if (classify.isRegression()) {
            config.put("problem_type", "regression");
        }
        ObjectNode names = config.putObject("id2label");
        ObjectNode numbers = config.putObject("label2id");
        for (int i = 0; i < classify.classes(); i++) {
            String name = classify.name(i);
            names.put(String.valueOf(i), name);
            numbers.put(name, i);
        }
    }

    /**
     * What transformers reads bitsandbytes' weights by.
     *
     * @param plain paths of linear layers that are not in few bits
     */
    static ObjectNode quantizationConfig(
            QuantConfig quantization, String compute, List<String> plain) {
        ObjectNode config = JSON.createObjectNode();
        config.put("bnb_4bit_compute_dtype", compute);
        config.put("bnb_4bit_quant_storage", "uint8");
        config.put("bnb_4bit_quant_type", quantization.type().key());
        config.put("bnb_4bit_use_double_quant", quantization.doubleQuant());
        if (!plain.isEmpty()) { // the list replaces the head, which is left out without one
            ArrayNode skipped = config.putArray("llm_int8_skip_modules").add("lm_head");
            plain.forEach(skipped::add);
        }
        config.put("load_in_4bit", quantization.load4bit());
        config.put("load_in_8bit", quantization.load8bit());
        if (quantization.load8bit()) {
            config.put("llm_int8_threshold", quantization.int8Threshold());
        }
        config.put("quant_method", "bitsandbytes");
        return config;
    }

    /**
     * Writes a model with its linear weights in 4 bits.
     *
     * @param source folder in the layout of Hugging Face, or a {@code .gguf} file in one
     * @param target a folder that does not exist yet
     * @return bytes of the file with the weights
     */
    public static long quantize(Path source, QuantConfig quantization, Path target) {
        if (Files.exists(target)) {
            throw ConfigException.of("%s exists; name a new folder for the model", target);
        }
        return Engine.call(() -> {
            DType compute = quantization.computeDtype().onThisMachine();
            ModelPlace place = ModelPlace.of(source);
            try (CausalModel model = Models.load(place, quantization, compute, false, null);
                    AtomicFolder building = AtomicFolder.begin(target.toAbsolutePath())) {
                write(model, place.folder(), building.path());
                long bytes = Files.size(building.path().resolve(Checkpoint.MODEL_FILE));
                building.commit();
                return bytes;
            }
        });
    }

    private static Tensor stored(Parameter p) {
        Tensor held = p.trainable() ? p.master() : p.value();
        return p.isStoredTransposed() ? held.t() : held;
    }

    /** Its bytes are copied when their turn comes, so that one weight at a time is there twice. */
    private static void add(SafetensorsWriter writer, Parameter p) {
        try (TensorScope scope = TensorScope.open()) { // for its type and shape alone
            Tensor kept = stored(p);
            writer.add(
                    p.name(),
                    StoredType.valueOf(kept.dtype().name()),
                    kept.shape(),
                    sink -> {
                        try (Arena arena = Arena.ofConfined();
                                TensorScope again = TensorScope.open()) {
                            sink.accept(Tensors.copyOf(stored(p).contiguous(), arena));
                        }
                    });
        }
    }

    /**
     * Puts the weights of a folder that {@link #write} made into a model of the same shape.
     *
     * @throws FormatException if a weight is missing or of another shape
     */
    public static void restore(CausalModel model, Path folder) {
        Path file = folder.resolve(Checkpoint.MODEL_FILE);
        try (SafetensorsFile stored = SafetensorsFile.open(file)) {
            for (Parameter p : model.parameters()) {
                try (TensorScope scope = TensorScope.open()) {
                    Tensor master = stored(p);
                    if (!stored.names().contains(p.name())
                            || !Arrays.equals(stored.info(p.name()).shape(), master.shape())) {
                        throw FormatException.of(
                                "%s holds no %s of shape %s; it belongs to a run with another model",
                                file, p.name(), Arrays.toString(master.shape()));
                    }
                    master.copyFrom(TensorBytes.toTensor(stored.tensor(p.name())));
                    p.refresh();
                }
            }
        }
    }

    /** The {@code config.json} of a folder, free to be changed. */
    static ObjectNode readConfig(Path folder) {
        return readObject(folder.resolve("config.json"));
    }

    /** The object of a JSON file, free to be changed. */
    static ObjectNode readObject(Path file) {
        try {
            if (JSON.readTree(file) instanceof ObjectNode config) {
                return config;
            }
            throw new FormatException(file + " is no JSON object; fetch the checkpoint again");
        } catch (JacksonException e) {
            throw new FormatException(file + " is not valid JSON: " + JsonProblem.of(e), e);
        }
    }

    static void writeConfig(ObjectNode config, Path folder) {
        AtomicFiles.writeText(
                folder.resolve("config.json"), JSON.writeValueAsString(config) + "\n");
    }

    /** Copies those of the files that are there. */
    static void copyCompanions(Path source, Path folder, List<String> names) {
        for (String name : names) {
            Path file = source.resolve(name);
            if (Files.isRegularFile(file)) {
                try {
                    Files.copy(file, folder.resolve(name));
                } catch (IOException e) {
                    throw new DeviceException(
                            "%s cannot be copied to %s: %s"
                                    .formatted(file, folder, AtomicFiles.reason(e)),
                            e);
                }
            }
        }
    }

    /** As transformers spells it. */
    static String name(DType dtype) {
        return switch (dtype) {
            case F64 -> "float64";
            case F16 -> "float16";
            case BF16 -> "bfloat16";
            default -> "float32";
        };
    }
}
