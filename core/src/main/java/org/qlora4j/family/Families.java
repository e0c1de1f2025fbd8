package org.qlora4j.family;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.function.Function;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.ModelShape;

/** The list of families: which {@code model_type} of a {@code config.json} is read by whom. */
public final class Families {
    private static final Map<String, Function<ConfigFile, Architecture>> BY_TYPE =
            Map.ofEntries(
                    Map.entry("gemma", GemmaConfig::read),
                    Map.entry("gemma2", Gemma2Config::read),
                    Map.entry("gemma3", Gemma3Config::readNested),
                    Map.entry("gemma3_text", Gemma3Config::read),
                    Map.entry("llama", LlamaConfig::read),
                    Map.entry("mistral", MistralConfig::read),
                    Map.entry("qwen2", Qwen2Config::read),
                    Map.entry("qwen3", Qwen3Config::read));

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
    static ModelShape shape(ConfigFile config) {
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
        return ModelShape.of(family.apply(config));
    }
}
