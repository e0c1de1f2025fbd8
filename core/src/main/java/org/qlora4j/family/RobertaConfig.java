package org.qlora4j.family;

import java.util.ArrayList;
import java.util.List;
import org.qlora4j.autograd.Add;
import org.qlora4j.autograd.AttentionShape;
import org.qlora4j.autograd.Embedding;
import org.qlora4j.autograd.Head;
import org.qlora4j.autograd.Linear;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Position;
import org.qlora4j.autograd.Tanh;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.autograd.Weight;
import org.qlora4j.error.FormatException;
import org.qlora4j.kernel.Activation;
import org.qlora4j.model.Architecture;
import org.qlora4j.model.ConfigFile;
import org.qlora4j.model.Context;
import org.qlora4j.model.Decoder;
import org.qlora4j.model.DecoderLayer;
import org.qlora4j.model.Labels;
import org.qlora4j.model.LearnedPositions;
import org.qlora4j.model.Mlp;
import org.qlora4j.model.ModelFacts;
import org.qlora4j.model.Norm;
import org.qlora4j.model.PostNormLayer;
import org.qlora4j.model.PreNormDecoder;
import org.qlora4j.model.SelfAttention;
import org.qlora4j.model.Task;
import org.qlora4j.model.Weights;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;
import tools.jackson.databind.JsonNode;

/**
 * RoBERTa as a classifier of texts (arXiv 1907.11692; transformers {@code
 * RobertaForSequenceClassification}): an encoder that sees the whole text, and a head of two layers
 * on its first position. Dropout of its own it has none here.
 *
 * @param normEps added to the variance in norms
 * @param activation of the MLP
 * @param typeRows rows of the table of token types, of which the first serves all tokens
 * @param padId id of padding; places are counted from the row behind it
 * @param classes outputs of the head
 * @param labels names of the classes; empty if they have none
 */
record RobertaConfig(
        ModelFacts facts,
        double normEps,
        Activation activation,
        int typeRows,
        int padId,
        int classes,
        List<String> labels)
        implements Architecture {
    /** From {@code config.json}. */
    static RobertaConfig read(ConfigFile config) {
        ModelFacts facts = config.facts(ConfigFile.Spelling.COMMON, 512);
        int padId = (int) config.number("pad_token_id", 1);
        int places = facts.maxPositions() - padId - 1;
        if (places < 1 || config.flag("is_decoder")) {
            throw FormatException.of(
                    "%s: max_position_embeddings %d with pad_token_id %d leaves %d places, and is_decoder is %s; a"
                            + " classifier needs places and is no decoder",
                    config.file(), facts.maxPositions(), padId, places, config.flag("is_decoder"));
        }
        if (config.text("problem_type", "").equals("multi_label_classification")) {
            throw FormatException.of(
                    "%s: problem_type multi_label_classification, several classes for one text, is not supported",
                    config.file());
        }
        JsonNode labels = config.object("id2label");
        int classes = labels == null ? 2 : labels.size();
        return new RobertaConfig(
                facts.withMaxPositions(places),
                config.number("layer_norm_eps", 1e-12),
                config.activation("hidden_act", Activation.GELU),
                config.positive("type_vocab_size", 2),
                padId,
                classes,
                labels == null ? List.of() : names(labels));
    }

    /** Names of classes by their numbers; none where they are the LABEL_0 that stands for none. */
    private static List<String> names(JsonNode labels) {
        List<String> names = new ArrayList<>();
        for (int i = 0; i < labels.size(); i++) {
            names.add(labels.path(String.valueOf(i)).asString(""));
        }
        boolean named =
                names.stream().noneMatch(name -> name.isEmpty() || name.startsWith("LABEL_"));
        return named ? List.copyOf(names) : List.of();
    }

    @Override
    public Architecture withLabels(Labels given) {
        return new RobertaConfig(
                facts, normEps, activation, typeRows, padId, given.count(), given.names());
    }

    @Override
    public String newHead() {
        return "classifier.";
    }

    @Override
    public String newHeadClass() {
        return "RobertaForSequenceClassification";
    }

    @Override
    public Task task() {
        return new Task.Classify(classes, labels);
    }

    @Override
    public Decoder build(Weights weights) {
        int hidden = facts.hiddenSize();
        Weights model = weights.in("roberta");
        Weights tables = model.in("embeddings");
        Weights head = weights.in("classifier");
        int rows = facts.maxPositions() + padId + 1;
        return new Classifier(
                tables.parameter("word_embeddings.weight", facts.vocabularySize(), hidden),
                new LearnedPositions(
                        tables.parameter("position_embeddings.weight", rows, hidden),
                        padId + 1,
                        true),
                tables.parameter("token_type_embeddings.weight", typeRows, hidden),
                Norm.layer(tables, "LayerNorm", hidden, normEps),
                PreNormDecoder.layers(model.in("encoder.layer"), facts.layers(), this::layer),
                head.parameter("dense.weight", hidden, hidden),
                head.parameter("dense.bias", hidden),
                head.parameter("out_proj.weight", classes, hidden),
                head.parameter("out_proj.bias", classes));
    }

    private DecoderLayer layer(int index, Weights weights) {
        int hidden = facts.hiddenSize();
        int inner = facts.intermediateSize();
        Weights attention = weights.in("attention");
        return new PostNormLayer(
                new SelfAttention(
                        index,
                        facts.heads(),
                        facts.heads(),
                        AttentionShape.of(facts.headDim()),
                        attention.linear("self.query", hidden, hidden, true),
                        attention.linear("self.key", hidden, hidden, true),
                        attention.linear("self.value", hidden, hidden, true),
                        attention.linear("output.dense", hidden, hidden, true),
                        null,
                        null),
                Norm.layer(attention, "output.LayerNorm", hidden, normEps),
                new Mlp.Plain(
                        weights.linear("intermediate.dense", inner, hidden, true),
                        activation,
                        weights.linear("output.dense", hidden, inner, true)),
                Norm.layer(weights, "output.LayerNorm", hidden, normEps));
    }

    /** Embeddings, encoder, and the head's first layer; its second makes a logit for each class. */
    private record Classifier(
            Parameter words,
            LearnedPositions places,
            Parameter types,
            Norm norm,
            List<DecoderLayer> layers,
            Parameter dense,
            Parameter denseBias,
            Parameter out,
            Parameter outBias)
            implements Decoder {
        /** One position for each row, [batch, 1, hidden]. */
        @Override
        public Var hidden(Tape tape, Tensor ids, Context seen, boolean checkpoint) {
            Tensor firstType = tape.keep(Tensors.zeros(DType.I64, ids.shape()));
            Var x = Embedding.apply(tape, words, ids);
            x = Add.apply(tape, x, Embedding.apply(tape, types, firstType));
            x = norm.forward(tape, places.add(tape, x, seen));
            for (DecoderLayer layer : layers) {
                x = tape.block(x, checkpoint, (t, in) -> layer.forward(t, in, seen, null));
            }
            Var first = Position.apply(tape, x, 0);
            return Tanh.apply(
                    tape, Linear.apply(tape, first, new Weight.Dense(dense), denseBias, null));
        }

        @Override
        public Head head() {
            return new Head(new Weight.Dense(out), outBias, 0, 1);
        }

        @Override
        public List<Parameter> tables() {
            return List.of(words);
        }
    }
}
