package org.qlora4j.plan;

import static org.qlora4j.error.Require.require;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.DataConfig;
import org.qlora4j.data.DataGate;
import org.qlora4j.data.Records;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.model.Labels;
import org.qlora4j.model.ModelInit;
import org.qlora4j.model.ModelShape;
import org.qlora4j.tokenize.Tokenizer;

/**
 * What a run reads besides weights, so that a mistake in it is found before these are loaded. Who
 * opens it closes it.
 *
 * @param place of the model
 * @param shape of the model
 * @param rows of the tables of the run: those of the model, and what new tokens need beyond them
 * @param tokenizer of the model, with the new tokens and the chat template that the settings name
 * @param data in tokens of the model
 */
public record RunInputs(
        ModelPlace place, ModelShape shape, int rows, Tokenizer tokenizer, TrainingData data)
        implements AutoCloseable {
    /**
     * Reads and checks all of it, and lets only data pass that a run can learn from ({@link
     * DataGate}).
     */
    public static RunInputs load(RunConfig config) {
        return passed(read(config), config.data());
    }

    /** As {@link #load(RunConfig)}, with records in place of {@code data.dataset}, unless null. */
    public static RunInputs load(RunConfig config, @Nullable Records records) {
        return passed(read(config, records), config.data());
    }

    /** As {@link #load(RunConfig)}, of a model as it is. */
    public static RunInputs load(ModelPlace place, DataConfig data) {
        return load(place, Labels.OF_CONFIG, data);
    }

    /** As {@link #load(ModelPlace, DataConfig)}, of a model with other classes. */
    public static RunInputs load(ModelPlace place, Labels labels, DataConfig data) {
        return passed(read(place, List.of(), labels, data, null), data);
    }

    /** Reads all of it and checks that the model can take the data. */
    public static RunInputs read(RunConfig config) {
        return read(config, null);
    }

    private static RunInputs read(RunConfig config, @Nullable Records records) {
        ModelPlace place = ModelPlace.of(config.model());
        requireTrainable(place, config);
        return read(
                place, config.model().newTokens(), config.model().labels(), config.data(), records);
    }

    /** Refuses to train, keep or stream weights in a form in which the checkpoint has them not. */
    static void requireTrainable(ModelPlace place, RunConfig config) {
        if (config.train().fullFinetune() && config.model().init() == ModelInit.CHECKPOINT) {
            Models.requireTrainable(place);
        }
        if (config.quantization().keepStored()) {
            Models.kept(place);
        }
        if (config.model().streamLayers()) {
            Models.requireStreamable(place, config.quantization());
        }
    }

    /** Refuses new tokens where adapters do not bring the tables under the model's names. */
    private static void requireNewRows(ModelShape shape, List<String> newTokens) {
        boolean known =
                shape.others().stream().anyMatch(w -> w.name().endsWith("embed_tokens.weight"));
        require(
                newTokens.isEmpty() || known,
                "model.new_tokens must be empty for a model of type %s, whose adapters hold no table of tokens: leave them"
                        + " out, or choose a model of another family",
                shape.facts().type());
    }

    private static RunInputs passed(RunInputs inputs, DataConfig config) {
        try {
            DataGate.pass(inputs.data.train().stats(), config);
            return inputs;
        } catch (RuntimeException e) {
            inputs.close();
            throw e;
        }
    }

    private static RunInputs read(
            ModelPlace place,
            List<String> newTokens,
            Labels labels,
            DataConfig config,
            @Nullable Records records) {
        ModelShape shape = labels.of(place.shape());
        requireNewRows(shape, newTokens);
        Tokenizer tokenizer = Tokenizer.load(place.folder(), newTokens);
        try {
            int rows =
                    newTokens.isEmpty()
                            ? shape.vocabularySize()
                            : Math.max(shape.vocabularySize(), tokenizer.idLimit());
            TrainingData data = TrainingData.read(config, tokenizer, shape, rows, records);
            return new RunInputs(place, shape, rows, tokenizer, data);
        } catch (RuntimeException e) {
            tokenizer.close();
            throw e;
        }
    }

    @Override
    public void close() {
        tokenizer.close();
    }
}
