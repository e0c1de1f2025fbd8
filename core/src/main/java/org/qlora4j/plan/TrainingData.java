package org.qlora4j.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import org.jspecify.annotations.Nullable;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.TrainConfig;
import org.qlora4j.data.Batch;
import org.qlora4j.data.BatchSampler;
import org.qlora4j.data.ChatRenderer;
import org.qlora4j.data.DataConfig;
import org.qlora4j.data.Example;
import org.qlora4j.data.Layout;
import org.qlora4j.data.Records;
import org.qlora4j.data.SpecialIds;
import org.qlora4j.data.TrainingSet;
import org.qlora4j.data.TrainingSplits;
import org.qlora4j.data.UnstoppedEnds;
import org.qlora4j.error.FormatException;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.Task;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tokenize.Tokenizer;

/**
 * The examples of a run as tokens of its model.
 *
 * @param train what is trained on
 * @param eval what is evaluated on; null if the settings ask for none
 * @param padId fills shorter rows
 * @param padToMultipleOf columns of a batch are rounded up to a multiple of this
 * @param promptTemplate writes a prompt as the examples have it; null where the chat template of
 *     model or settings does, or there are no prompts
 */
public record TrainingData(
        TrainingSet train,
        @Nullable TrainingSet eval,
        int padId,
        int padToMultipleOf,
        @Nullable String promptTemplate) {
    /** The order in which a run takes the examples. */
    public BatchSampler sampler(RunConfig config) {
        TrainConfig settings = config.train();
        return config.data().packing()
                ? BatchSampler.packing(
                        train.lengths(),
                        config.data().rowLimit(),
                        settings.perDeviceTrainBatchSize(),
                        settings.gradientAccumulationSteps(),
                        settings.orderSeed())
                : new BatchSampler(
                        train.lengths(),
                        config.data().groupByLength(),
                        settings.perDeviceTrainBatchSize(),
                        settings.gradientAccumulationSteps(),
                        settings.orderSeed());
    }

    /** The batch of some rows of examples, as a {@link BatchSampler} names them. */
    public Batch batch(int[][] rows) {
        return train.batch(rows, padId, padToMultipleOf);
    }

    /**
     * Reads the data and checks that the model can take it.
     *
     * @param tokenizer gets the chat template that the settings name
     * @param shape of the model
     * @param vocabularySize rows of the model's tables: larger ids mean that tokenizer and model do
     *     not belong together
     * @param records in place of {@code data.dataset}; null for that
     */
    static TrainingData read(
            DataConfig config,
            Tokenizer tokenizer,
            ModelShape shape,
            int vocabularySize,
            @Nullable Records records) {
        Iterable<Integer> eos = shape.eosIds();
        Layout layout = layout(shape);
        String chatTemplate = config.chatTemplate();
        if (chatTemplate != null) {
            tokenizer.useChatTemplate(chatTemplate);
        }
        SpecialIds ids = specialIds(tokenizer, eos);
        ChatTemplate template = tokenizer.chatTemplate().orElse(null);
        @Nullable ChatRenderer renderer = template == null ? null : ChatRenderer.of(template);
        TrainingSplits splits =
                TrainingSplits.load(config, tokenizer, ids, layout, renderer, records);
        if (!(layout instanceof Layout.Classes)) { // which are cut to what the model takes
            requireFit(splits.train(), vocabularySize, shape.maxPositions());
            if (splits.eval() != null) {
                requireFit(splits.eval(), vocabularySize, shape.maxPositions());
            }
        }
        List<String> told = new ArrayList<>();
        if (!(layout instanceof Layout.Classes)) { // a class ends nothing
            told.addAll(UnstoppedEnds.in(splits.train(), tokenizer, eos));
        }
        String form = promptTemplate(splits.train(), tokenizer);
        if (form != null) {
            if (template != null) {
                told.add(
                        "prompts are written %s, not by the model's chat template, here and wherever the adapter is asked (data.chat_template=tokenizer makes chats of them)"
                                .formatted(splits.train().forms().iterator().next().words()));
            }
            tokenizer.useChatTemplate(form, "the form of the training data's prompts");
        }
        return new TrainingData(
                splits.train().withNotices(told),
                splits.eval(),
                ids.pad(),
                Math.max(1, config.padToMultipleOf()),
                form);
    }

    /** How the model takes an example. */
    static Layout layout(ModelShape shape) {
        return switch (shape.architecture().task()) {
            case Task.NextToken next -> new Layout.OneText();
            case Task.SequenceToSequence pairs -> new Layout.SourceAndTarget();
            case Task.Classify(int count, List<String> names) ->
                    new Layout.Classes(count, names, shape.maxPositions());
        };
    }

    /** The one form of all prompts that is not the chat template's; null if there is none. */
    private static @Nullable String promptTemplate(TrainingSet set, Tokenizer tokenizer) {
        return set.forms().size() == 1
                ? set.forms().iterator().next().template(tokenizer.addsBos())
                : null;
    }

    private static void requireFit(TrainingSet set, int vocabularySize, int maxPositions) {
        for (Example example : set.examples()) {
            if (example.length() > maxPositions) {
                throw FormatException.of(
                        "%s:%d: the example has %d tokens, the model takes %d; lower data.source_max_len or"
                                + " data.target_max_len",
                        example.file(), example.line(), example.length(), maxPositions);
            }
            for (int id : example.ids()) {
                if (id < 0 || id >= vocabularySize) {
                    throw FormatException.of(
                            "%s:%d: token id %d is beyond the model's %d; tokenizer.json belongs to another model",
                            example.file(), example.line(), id, vocabularySize);
                }
            }
        }
    }

    private static SpecialIds specialIds(Tokenizer tokenizer, Iterable<Integer> eosOfModel) {
        OptionalInt eos = tokenizer.eosId();
        if (eos.isEmpty() && eosOfModel.iterator().hasNext()) {
            eos = OptionalInt.of(eosOfModel.iterator().next());
        }
        if (eos.isEmpty()) {
            throw new FormatException(
                    "the tokenizer names no eos_token, which ends an answer; add it to tokenizer_config.json");
        }
        return new SpecialIds(
                tokenizer.addsBos() ? tokenizer.bosId() : OptionalInt.empty(),
                eos.getAsInt(),
                tokenizer.padId().orElse(eos.getAsInt()));
    }
}
