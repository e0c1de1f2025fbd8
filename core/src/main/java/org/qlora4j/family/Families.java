package org.qlora4j.family;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.ModelShape;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The list of families: which {@code model_type} of a {@code config.json} is read by whom. */
public final class Families {
    private static final Map<String, Function<ConfigFile, Architecture>> BY_TYPE =
            Map.ofEntries(
                    Map.entry("gemma", GemmaConfig::read),
                    Map.entry("gemma2", Gemma2Config::read),
                    Map.entry("gemma3", Gemma3Config::readNested),
                    Map.entry("gemma3_text", Gemma3Config::read),
                    Map.entry("gpt2", Gpt2Config::read),
                    Map.entry("gpt_neox", GptNeoxConfig::read),
                    Map.entry("opt", OptConfig::read),
                    Map.entry("llama", LlamaConfig::read),
                    Map.entry("mistral", MistralConfig::read),
                    Map.entry("phi3", Phi3Config::read),
                    Map.entry("qwen2", Qwen2Config::read),
                    Map.entry("qwen3", Qwen3Config::read),
                    Map.entry("roberta", RobertaConfig::read),
                    Map.entry("t5", T5Config::read));

    /** Keys of dropouts inside a model. */
    private static final List<String> DROPOUTS =
            List.of(
                    "attention_dropout",
                    "attn_pdrop",
                    "resid_pdrop",
                    "embd_pdrop",
                    "hidden_dropout",
                    "dropout",
                    "activation_dropout",
                    "dropout_rate",
                    "hidden_dropout_prob",
                    "attention_probs_dropout_prob");

    private static final Logger LOG = LoggerFactory.getLogger(Families.class);
    private static final Set<Path> TOLD = ConcurrentHashMap.newKeySet();

    private Families() {}

    /** The values of {@code model_type} that are read, in order. */
    public static List<String> types() {
        return List.copyOf(new TreeSet<>(BY_TYPE.keySet()));
    }

    /**
     * The shape of the model in a checkpoint folder. Weights need not be there; where they are,
     * their names and tables have a say ({@link Tying}).
     *
     * @throws FormatException if its family is not known, its config cannot be read, or its weights
     *     were quantized in a way that is not read
     */
    public static ModelShape shape(Path folder) {
        ConfigFile config = ConfigFile.of(folder.resolve("config.json"));
        if (Checkpoint.isIn(folder)) {
            try (Checkpoint checkpoint = Checkpoint.open(folder)) {
                return shape(Tying.of(config, checkpoint).config());
            } catch (FormatException e) {
                return shape(config); // damaged weights are told by who needs them
            }
        }
        return shape(config);
    }

    /** The shape of the model that a config describes. */
    public static ModelShape shape(ConfigFile config) {
        QuantMethod.requireRead(config);
        String type = config.text("model_type", "");
        Function<ConfigFile, Architecture> family = BY_TYPE.get(type);
        if (family == null) {
            throw FormatException.of(
                    "%s: model_type %s is not supported; supported: %s",
                    config.file(),
                    type.isEmpty() ? "is missing, which" : "\"" + type + "\"",
                    String.join(", ", types()));
        }
        tellIgnored(config);
        return ModelShape.of(family.apply(config));
    }

    /** Says once that a file's own dropouts, which its model was made with, are not applied. */
    private static void tellIgnored(ConfigFile config) {
        List<String> ignored =
                DROPOUTS.stream()
                        .filter(key -> config.root().path(key).asDouble(0) > 0)
                        .map(key -> key + " " + config.root().get(key))
                        .toList();
        if (!ignored.isEmpty() && TOLD.add(config.file())) {
            LOG.info(
                    "{}: {} not applied; training drops what lora.lora_dropout says",
                    config.file(),
                    String.join(", ", ignored));
        }
    }
}
