package org.qlora4j.family;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.BnbInt8;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.Notice;
import org.qlora4j.lora.PrincipalParts;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.KeptBlocks;
import org.qlora4j.model.Labels;
import org.qlora4j.model.LoadedModel;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.Stage;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;

/** From a checkpoint to a built model: {@code config.json} says which family. */
public final class Models {
    /** Standard deviation of new weights where config.json names no initializer_range. */
    private static final double INIT_STD = 0.02;

    private Models() {}

    /**
     * Reads a model. The caller closes it.
     *
     * @param model as {@link ModelPlace#of(Path)} takes it
     * @param quantization how linear weights are held
     * @param compute dtype of values between layers: BF16, F32 or F64
     */
    public static CausalModel load(Path model, QuantConfig quantization, DType compute) {
        return load(model, quantization, compute, false);
    }

    /**
     * As {@link #load(Path, QuantConfig, DType)}, with all weights trainable if asked; those are
     * not quantized.
     */
    public static CausalModel load(
            Path model, QuantConfig quantization, DType compute, boolean trainable) {
        return load(ModelPlace.of(model), quantization, compute, trainable, null);
    }

    /**
     * As {@link #load(Path, QuantConfig, DType, boolean)}, with weights of linears taken apart.
     *
     * @param principals what takes them apart; null to leave them whole
     */
    public static CausalModel load(
            ModelPlace place,
            QuantConfig quantization,
            DType compute,
            boolean trainable,
            @Nullable PrincipalParts principals) {
        return load(place, quantization, compute, trainable, principals, Labels.OF_CONFIG, 0);
    }

    /**
     * As {@link #load(ModelPlace, QuantConfig, DType, boolean, PrincipalParts)}, with other
     * classes.
     *
     * @param seed of the weights of a head that the checkpoint does not have
     */
    public static CausalModel load(
            ModelPlace place,
            QuantConfig quantization,
            DType compute,
            boolean trainable,
            @Nullable PrincipalParts principals,
            Labels labels,
            long seed) {
        return read(place, quantization, compute, trainable, principals, labels, seed, 0, 1);
    }

    /**
     * Builds a model that keeps its layers on disk, from which they are read as they are used; the
     * same numbers as those of {@link #load(ModelPlace, QuantConfig, DType, boolean,
     * PrincipalParts, Labels, long)}.
     *
     * @throws ConfigException if the checkpoint's layers are not in 4 bits or kept blocks
     */
    public static CausalModel stream(
            ModelPlace place, QuantConfig quantization, DType compute, Labels labels, long seed) {
        Checkpoint checkpoint = place.open();
        try {
            Tying tying = tying(place, checkpoint);
            ModelShape shape = labels.of(Families.shape(tying.config()));
            return LoadedModel.stream(
                    shape,
                    checkpoint,
                    seed,
                    stdOfNew(shape, tying.config()),
                    quantization,
                    compute);
        } catch (RuntimeException | Error e) {
            checkpoint.close();
            throw e;
        }
    }

    /**
     * Reads one stage of a model that is divided over processes. The caller closes it.
     *
     * @param number of the stage, from 0
     * @param count number of stages
     */
    public static CausalModel stage(
            ModelPlace place,
            QuantConfig quantization,
            DType compute,
            Labels labels,
            long seed,
            int number,
            int count) {
        return read(place, quantization, compute, false, null, labels, seed, number, count);
    }

    private static CausalModel read(
            ModelPlace place,
            QuantConfig quantization,
            DType compute,
            boolean trainable,
            @Nullable PrincipalParts principals,
            Labels labels,
            long seed,
            int number,
            int count) {
        try (Checkpoint checkpoint = place.open()) {
            Tying tying = tying(place, checkpoint);
            ModelShape shape = labels.of(Families.shape(tying.config()));
            return LoadedModel.read(
                    Stage.of(shape, number, count),
                    checkpoint,
                    seed,
                    stdOfNew(shape, tying.config()),
                    quantization,
                    compute,
                    trainable,
                    principals);
        }
    }

    private static Tying tying(ModelPlace place, Checkpoint checkpoint) {
        Tying tying = Tying.of(ConfigFile.of(place.folder().resolve("config.json")), checkpoint);
        if (tying.notice() != null) {
            Notice.say(tying.notice());
        }
        return tying;
    }

    /**
     * Refuses a checkpoint whose layers cannot be {@linkplain #stream streamed}. Does nothing where
     * there are no weights to look at.
     *
     * @throws ConfigException if they are not in 4 bits or kept blocks
     */
    public static void requireStreamable(ModelPlace place, QuantConfig quantization) {
        if (!hasWeights(place)) {
            return;
        }
        try (Checkpoint checkpoint = place.open()) {
            if (!quantization.keepStored() && !isIn4Bits(checkpoint)) {
                throw LoadedModel.nothingToStream(checkpoint);
            }
        }
    }

    /** Whether linear layers of a checkpoint are in 4 bits; true if there is none to look at. */
    public static boolean mayBeIn4Bits(ModelPlace place) {
        if (!hasWeights(place)) {
            return true;
        }
        try (Checkpoint checkpoint = place.open()) {
            return isIn4Bits(checkpoint);
        }
    }

    private static boolean isIn4Bits(Checkpoint checkpoint) {
        return !Bnb4bit.besideInt8(checkpoint).weights().isEmpty();
    }

    private static boolean hasWeights(ModelPlace place) {
        Path path = place.weights();
        return path.toString().endsWith(".gguf") || Checkpoint.isIn(path);
    }

    /**
     * Refuses a checkpoint whose linear layers are in 4 bits already, for a run that trains all
     * weights. Does nothing where there are no weights to look at.
     *
     * @throws ConfigException if it is in 4 bits
     */
    public static void requireTrainable(ModelPlace place) {
        if (!hasWeights(place)) {
            return;
        }
        try (Checkpoint checkpoint = place.open()) {
            if (isIn4Bits(checkpoint) || !BnbInt8.of(checkpoint).weights().isEmpty()) {
                throw LoadedModel.inFourBits(checkpoint.folder().toString());
            }
        }
    }

    /**
     * What of a model stays in the blocks of its GGUF file.
     *
     * @throws ConfigException if it has no such blocks
     */
    public static KeptBlocks kept(ModelPlace place) {
        try (Checkpoint checkpoint = place.open()) {
            return KeptBlocks.of(checkpoint, place.shape());
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
        return random(folder, quantization, compute, trainable, seed, principals, Labels.OF_CONFIG);
    }

    /**
     * As {@link #random(Path, QuantConfig, DType, boolean, long, PrincipalParts)}, with other
     * classes.
     */
    public static CausalModel random(
            Path folder,
            QuantConfig quantization,
            DType compute,
            boolean trainable,
            long seed,
            @Nullable PrincipalParts principals,
            Labels labels) {
        return LoadedModel.random(
                labels.of(Families.shape(folder)),
                seed,
                std(ConfigFile.of(folder.resolve("config.json"))),
                quantization,
                compute,
                trainable,
                principals);
    }

    /** Deviation of what a checkpoint may lack; a key that nobody needs may hold anything. */
    private static double stdOfNew(ModelShape shape, ConfigFile config) {
        return shape.architecture().newHead().isEmpty() ? INIT_STD : std(config);
    }

    private static double std(ConfigFile config) {
        return config.number("initializer_range", INIT_STD);
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
