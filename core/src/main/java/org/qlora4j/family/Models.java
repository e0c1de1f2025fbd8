package org.qlora4j.family;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Notice;
import org.qlora4j.lora.PrincipalParts;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.EmbeddedModel;
import org.qlora4j.model.HubModels;
import org.qlora4j.model.LoadedModel;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.NamedModels;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;

/** From a checkpoint to a built model: {@code config.json} says which family. */
public final class Models {
    /** Standard deviation of new weights where config.json names no initializer_range. */
    private static final double INIT_STD = 0.02;

    private Models() {}

    /**
     * Where a model lies: a path that exists, the {@linkplain EmbeddedModel model in this library}
     * by its name, or a model of the hub by its. Other paths come back as they are.
     */
    public static Path locate(Path model) {
        if (Files.exists(model)) {
            return model;
        }
        return model.toString().equals(EmbeddedModel.NAME)
                ? EmbeddedModel.folder()
                : HubModels.locate(Path.of(NamedModels.resolve(model.toString())));
    }

    /**
     * The folder with a model's config and tokenizer: the model's own, the one around a {@code
     * .gguf} file, or one made of what such a file says itself.
     *
     * @throws FormatException if there is no such folder or file
     */
    public static Path folder(Path model) {
        Path absolute = locate(model).toAbsolutePath();
        if (!Files.exists(absolute)) {
            throw FormatException.of(
                    "%s does not exist; check the path, or name a model of the hub as org/name",
                    model);
        }
        Path around = absolute.getParent();
        if (Files.isDirectory(absolute) || around == null) {
            return alone(absolute).map(GgufFolder::of).orElse(absolute);
        }
        boolean gguf = absolute.toString().endsWith(".gguf");
        return gguf && !Files.exists(around.resolve("config.json"))
                ? GgufFolder.of(absolute)
                : around;
    }

    /** The one GGUF file of a folder without a config, which then has all that is known. */
    private static Optional<Path> alone(Path folder) {
        if (!Files.isDirectory(folder) || Files.exists(folder.resolve("config.json"))) {
            return Optional.empty();
        }
        try (Stream<Path> files = Files.list(folder)) {
            List<Path> ggufs = files.filter(f -> f.toString().endsWith(".gguf")).toList();
            return ggufs.size() == 1 ? Optional.of(ggufs.getFirst()) : Optional.empty();
        } catch (IOException e) {
            throw new FormatException(folder + " cannot be read: " + e.getMessage(), e);
        }
    }

    /**
     * Reads a model. The caller closes it.
     *
     * @param path a folder in Hugging Face layout, a {@code .gguf} file with config.json beside it,
     *     or the name of a model of the hub
     * @param quantization how linear weights are held
     * @param compute dtype of values between layers: BF16, F32 or F64
     */
    public static CausalModel load(Path path, QuantConfig quantization, DType compute) {
        return load(path, quantization, compute, false);
    }

    /**
     * As {@link #load(Path, QuantConfig, DType)}, with all weights trainable if asked; those are
     * not quantized.
     */
    public static CausalModel load(
            Path path, QuantConfig quantization, DType compute, boolean trainable) {
        return load(path, quantization, compute, trainable, null);
    }

    /**
     * As {@link #load(Path, QuantConfig, DType, boolean)}, with weights of linears taken apart.
     *
     * @param principals what takes them apart; null to leave them whole
     */
    public static CausalModel load(
            Path path,
            QuantConfig quantization,
            DType compute,
            boolean trainable,
            @Nullable PrincipalParts principals) {
        try (Checkpoint checkpoint = Checkpoint.open(locate(path))) {
            Tying tying = Tying.of(ConfigFile.of(folder(path).resolve("config.json")), checkpoint);
            if (tying.notice() != null) {
                Notice.say(tying.notice());
            }
            return LoadedModel.read(
                    Families.shape(tying.config()),
                    checkpoint,
                    quantization,
                    compute,
                    trainable,
                    principals);
        }
    }

    /**
     * Refuses a checkpoint whose linear layers are in 4 bits already, for a run that trains all
     * weights. Does nothing where there are no weights to look at.
     *
     * @throws ConfigException if it is in 4 bits
     */
    public static void requireTrainable(Path model) {
        Path path = locate(model);
        if (!path.toString().endsWith(".gguf") && !Checkpoint.isIn(path)) {
            return;
        }
        try (Checkpoint checkpoint = Checkpoint.open(path)) {
            if (!Bnb4bit.of(checkpoint).weights().isEmpty()) {
                throw LoadedModel.inFourBits(checkpoint.folder().toString());
            }
        }
    }

    /**
     * A model that was never trained, of the shape in a folder's {@code config.json}. The caller
     * closes it.
     *
     * @param seed weights are a function of it
     * @param principals what takes weights of linears apart; null to leave them whole
     */
    public static CausalModel random(
            Path folder,
            QuantConfig quantization,
            DType compute,
            boolean trainable,
            long seed,
            @Nullable PrincipalParts principals) {
        double std =
                ConfigFile.of(folder.resolve("config.json")).number("initializer_range", INIT_STD);
        return LoadedModel.random(
                Families.shape(folder), seed, std, quantization, compute, trainable, principals);
    }

    /**
     * A model that was never trained, of a given shape. The caller closes it.
     *
     * @param seed weights are a function of it
     */
    public static CausalModel random(
            ModelShape shape,
            QuantConfig quantization,
            DType compute,
            boolean trainable,
            long seed) {
        return LoadedModel.random(shape, seed, INIT_STD, quantization, compute, trainable, null);
    }
}
