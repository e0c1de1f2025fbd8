package org.qlora4j.family;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.EmbeddedModel;
import org.qlora4j.model.HubModels;
import org.qlora4j.model.ModelConfig;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.NamedModels;

/**
 * The place of a model's files, found once and handed on: its tokenizer and its weights must be of
 * one commit of the hub, though a branch may move between two questions.
 *
 * @param name the model as it was given: a folder, a {@code .gguf} file or a name
 * @param weights the folder or file with its weights
 * @param folder with its config and tokenizer: the model's own, the one around a {@code .gguf}
 *     file, or one made of what such a file says itself
 */
public record ModelPlace(Path name, Path weights, Path folder) {
    /**
     * Finds a model: a path that exists, the {@linkplain EmbeddedModel model in this library} by
     * its name, or a model of the hub by its, which is downloaded if need be.
     *
     * @throws FormatException if there is none
     */
    public static ModelPlace of(Path model) {
        return find(model)
                .orElseThrow(() ->
                        FormatException.of(
                                "%s does not exist; check the path, or name a model of the hub as org/name",
                                model));
    }

    /** Finds the model that the settings name, as {@link #of(Path)} does. */
    public static ModelPlace of(ModelConfig config) {
        return of(Path.of(config.modelNameOrPath()));
    }

    /** As {@link #of(Path)}; empty if there is none. */
    public static Optional<ModelPlace> find(Path model) {
        Path weights = locate(model);
        return Files.exists(weights)
                ? Optional.of(new ModelPlace(model, weights, folder(weights.toAbsolutePath())))
                : Optional.empty();
    }

    /** Opens the file with its weights, or the files; the caller closes them. */
    public Checkpoint open() {
        return Checkpoint.open(weights);
    }

    /** The shape that its config describes. */
    public ModelShape shape() {
        return Families.shape(folder);
    }

    private static Path locate(Path model) {
        if (Files.exists(model)) {
            return model;
        }
        return model.toString().equals(EmbeddedModel.NAME)
                ? EmbeddedModel.folder()
                : HubModels.locate(Path.of(NamedModels.resolve(model.toString())));
    }

    private static Path folder(Path weights) {
        Path around = weights.getParent();
        if (Files.isDirectory(weights) || around == null) {
            return alone(weights).map(GgufFolder::of).orElse(weights);
        }
        boolean gguf = weights.toString().endsWith(".gguf");
        return gguf && !Files.exists(around.resolve("config.json"))
                ? GgufFolder.of(weights)
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
}
