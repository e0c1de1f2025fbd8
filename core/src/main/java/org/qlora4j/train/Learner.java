package org.qlora4j.train;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.checkpoint.AtomicFiles;
import org.qlora4j.config.RunConfig;
import org.qlora4j.export.ModelCard;
import org.qlora4j.export.ModelFolder;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.LoraInit;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.run.RunCheckpoint;
import org.qlora4j.run.RunFacts;
import org.qlora4j.run.TrainerState;
import org.qlora4j.tokenize.NewTokens;

/**
 * What a run changes: an adapter on a model, or the model itself. It says which weights learn and
 * in which files a checkpoint keeps them.
 */
public sealed interface Learner extends AutoCloseable permits Learner.Adapter, Learner.WholeModel {
    /** The weights that learn. */
    List<Parameter> parameters();

    /** Number of weights that learn. */
    default long count() {
        return parameters().stream().mapToLong(p -> p.value().count()).sum();
    }

    /** Writes the files of a checkpoint into an existing folder. */
    void save(Path folder, TrainerState state);

    /** Takes the weights back to those of a checkpoint of this run. */
    void restore(Path folder);

    /** Whether the weights from before the run are still there once they have learnt. */
    boolean keepsBase();

    /** Asks the model as it was before the run. */
    <T> T withBase(Function<CausalModel, T> question);

    @Override
    void close();

    /**
     * Makes what the settings ask for.
     *
     * @param place of the base model
     * @param model the base model, its weights trainable if all of it learns
     * @param start the checkpoint to go on from, or null
     */
    static Learner create(
            RunConfig config, ModelPlace place, CausalModel model, @Nullable RunCheckpoint start) {
        if (!config.train().fullFinetune()) {
            return new Adapter(model, adapter(config, model, start), config, place);
        }
        if (start != null) {
            ModelFolder.restore(model, start.folder());
        }
        return new WholeModel(model, config, place);
    }

    private static LoraAdapter adapter(
            RunConfig config, CausalModel model, @Nullable RunCheckpoint start) {
        if (start == null) {
            return LoraAdapter.create(
                    config.lora(),
                    model.linears(),
                    model.parameters(),
                    model.compute(),
                    config.train().seed());
        }
        LoraAdapter stored =
                PeftAdapter.resume(
                        start.folder(),
                        config.lora(),
                        model.linears(),
                        model.parameters(),
                        model.compute());
        stored.attach();
        return stored;
    }

    private static <T> T withLoadedBase(
            ModelPlace place, RunConfig config, int rows, Function<CausalModel, T> question) {
        try (CausalModel base = TrainingRun.loadBase(place, config)) {
            base.resizeVocabulary(rows);
            return question.apply(base);
        }
    }

    /**
     * Low-rank factors on frozen layers, kept in PEFT's files.
     *
     * @param config of the run, for the name of their model and its tokenizer's new tokens
     */
    record Adapter(CausalModel model, LoraAdapter adapter, RunConfig config, ModelPlace place)
            implements Learner {
        @Override
        public List<Parameter> parameters() {
            return adapter.parameters();
        }

        @Override
        public void save(Path folder, TrainerState state) {
            String base = config.model().modelNameOrPath();
            String task = model.shape().architecture().task().peftName();
            PeftAdapter.save(adapter, folder, base, task);
            Map<String, String> facts = RunFacts.of(config, state, model.shape().parameterCount());
            AtomicFiles.writeText(
                    folder.resolve(RunCheckpoint.CARD),
                    ModelCard.ofAdapter(place, adapter.config(), facts));
            List<String> newTokens = config.model().newTokens();
            if (!newTokens.isEmpty()) {
                boolean ownTemplate = config.data().chatTemplate() == null;
                NewTokens.write(place.folder(), newTokens, folder, ownTemplate);
            }
        }

        @Override
        public void restore(Path folder) {
            try (LoraAdapter stored =
                    PeftAdapter.resume(
                            folder,
                            adapter.config(),
                            model.linears(),
                            model.parameters(),
                            model.compute())) {
                List<Parameter> from = stored.parameters();
                List<Parameter> to = adapter.parameters();
                for (int i = 0; i < to.size(); i++) {
                    to.get(i).master().copyFrom(from.get(i).master());
                    to.get(i).refresh();
                }
            }
        }

        /** PiSSA leaves in the weights only what its factors did not take. */
        @Override
        public boolean keepsBase() {
            return !(config.lora().initLoraWeights() instanceof LoraInit.Pissa);
        }

        @Override
        public <T> T withBase(Function<CausalModel, T> question) {
            if (!keepsBase()) {
                return withLoadedBase(place, config, model.vocabularySize(), question);
            }
            adapter.detach();
            try {
                return question.apply(model);
            } finally {
                adapter.attach();
            }
        }

        @Override
        public void close() {
            adapter.close();
        }
    }

    /** All weights of a model, kept as a model's folder. */
    record WholeModel(CausalModel model, RunConfig config, ModelPlace place) implements Learner {
        @Override
        public List<Parameter> parameters() {
            return model.parameters();
        }

        @Override
        public void save(Path folder, TrainerState state) {
            ModelFolder.write(model, place.folder(), folder);
        }

        @Override
        public void restore(Path folder) {
            ModelFolder.restore(model, folder);
        }

        @Override
        public boolean keepsBase() {
            return false;
        }

        /** Loads it once more: its weights are not kept beside those that learn. */
        @Override
        public <T> T withBase(Function<CausalModel, T> question) {
            return withLoadedBase(place, config, model.vocabularySize(), question);
        }

        /** Does nothing: who loaded the model closes it. */
        @Override
        public void close() {}
    }
}
