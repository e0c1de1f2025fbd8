package org.qlora4j.train;

import static org.qlora4j.error.Require.require;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Batch;
import org.qlora4j.error.ConfigException;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.CrossContext;
import org.qlora4j.model.ModelShape;
import org.qlora4j.model.Task;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.Tensors;

/**
 * What a batch asks of a model, by the model's {@link Task}: which tokens it reads, and the sum of
 * -log p over what it is told. Of one batch; closed after the backward pass.
 */
sealed interface Objective extends AutoCloseable {
    /** Where sources get no token at their end. */
    int NO_END = -1;

    /** The summed loss, as {@code kind} counts it. */
    Var sum(Tape tape, CausalModel model, boolean checkpointing, MicroBatch.Loss kind);

    @Override
    void close();

    static Objective of(CausalModel model, Batch batch) {
        return switch (model.shape().architecture().task()) {
            case Task.NextToken next -> new NextToken(batch);
            case Task.Classify(int classes) -> new Classify(Halves.of(batch, NO_END), classes);
            case Task.SequenceToSequence(int startId) ->
                    new SequenceToSequence(
                            Halves.of(batch, model.eosIds().stream().findFirst().orElse(NO_END)),
                            startId);
        };
    }

    /**
     * Throws where settings ask of a model what its task does not have.
     *
     * @throws ConfigException with the key
     */
    static void check(RunConfig config, ModelShape shape) {
        if (shape.architecture().task() instanceof Task.NextToken) {
            return;
        }
        String type = shape.facts().type();
        require(
                !config.data().packing(),
                "data.packing must be false for models of type %s, which read a whole text in each row",
                type);
        require(
                config.train().samplePrompt().isEmpty() && !config.eval().predictWithGenerate(),
                "train.sample_prompt must be empty and eval.predict_with_generate false for models of type %s, from"
                        + " which nothing is generated while they train",
                type);
        require(
                config.distill().teacher() == null,
                "distill.teacher must be null for models of type %s, which learn from data alone",
                type);
    }

    /** Each token by those before it. */
    final class NextToken implements Objective {
        private final Batch batch;
        private final BatchContext seen;

        NextToken(Batch batch) {
            this.batch = batch;
            this.seen = context(batch);
        }

        @Override
        public Var sum(Tape tape, CausalModel model, boolean checkpointing, MicroBatch.Loss kind) {
            Tensor ids = tape.keep(Tensors.of(wide(batch.inputIds()), batch.batch(), batch.time()));
            Var hidden = model.hidden(tape, ids, seen, checkpointing);
            return kind.of(tape, hidden, model.head(), nextLabels());
        }

        /** Rows that are one whole example each see the same, and one mask serves all. */
        private static BatchContext context(Batch batch) {
            boolean plain = true;
            for (int i = 0; i < batch.starts().length && plain; i++) {
                plain = batch.attentionMask()[i] && batch.starts()[i] == 0;
            }
            return plain
                    ? BatchContext.of(batch.batch(), batch.time())
                    : BatchContext.ofSamples(
                            batch.batch(), batch.time(), batch.starts(), batch.attentionMask());
        }

        /** What each position predicts: the label of the next place in its row. */
        private int[] nextLabels() {
            int[] out = new int[batch.labels().length];
            for (int i = 0; i < out.length; i++) {
                out[i] = (i + 1) % batch.time() == 0 ? CrossEntropy.IGNORE : batch.labels()[i + 1];
            }
            return out;
        }

        @Override
        public void close() {
            seen.close();
        }
    }

    /** The class that stands behind a text, as the one label of its row. */
    final class Classify implements Objective {
        private final Halves halves;
        private final BatchContext seen;

        Classify(Halves halves, int classes) {
            for (int row = 0; row < halves.target.rows; row++) {
                long label = halves.target.ids[row * halves.target.time];
                if (halves.target.time != 1 || label >= classes) {
                    throw ConfigException.of(
                            "a record is labelled %d, but the model has the classes 0 to %d (id2label in config.json); name"
                                    + " records of classes by data.dataset_format=classification",
                            label, classes - 1);
                }
            }
            this.halves = halves;
            this.seen = halves.source.whole();
        }

        @Override
        public Var sum(Tape tape, CausalModel model, boolean checkpointing, MicroBatch.Loss kind) {
            Var hidden = model.hidden(tape, halves.source.tensor(tape), seen, checkpointing);
            int[] classes = new int[halves.source.rows];
            Arrays.setAll(classes, row -> (int) halves.target.ids[row * halves.target.time]);
            return kind.of(tape, hidden, model.head(), classes);
        }

        @Override
        public void close() {
            seen.close();
        }
    }

    /** The target, which is labelled, by the source before it. */
    final class SequenceToSequence implements Objective {
        private final Halves halves;
        private final int startId;
        private final BatchContext source;
        private final BatchContext target;
        private @Nullable CrossContext seen;

        SequenceToSequence(Halves halves, int startId) {
            this.halves = halves;
            this.startId = startId;
            this.source = halves.source.whole();
            this.target = BatchContext.of(halves.target.rows, halves.target.time);
        }

        @Override
        public Var sum(Tape tape, CausalModel model, boolean checkpointing, MicroBatch.Loss kind) {
            Var read = model.encode(tape, halves.source.tensor(tape), source, checkpointing);
            Side told = halves.target;
            long[] before = new long[told.ids.length]; // each place has the token before it
            int[] labels = new int[told.ids.length];
            for (int i = 0; i < before.length; i++) {
                before[i] = i % told.time == 0 ? startId : told.ids[i - 1];
                labels[i] = told.visible[i] == 0 ? CrossEntropy.IGNORE : (int) told.ids[i];
            }
            CrossContext both = new CrossContext(target, read, halves.source.visible, false);
            seen = both;
            Tensor ids = tape.keep(Tensors.of(before, told.rows, told.time));
            Var hidden = model.hidden(tape, ids, both, checkpointing);
            return kind.of(tape, hidden, model.head(), labels);
        }

        @Override
        public void close() {
            if (seen != null) {
                seen.close();
            }
            source.close();
            target.close();
        }
    }

    /** Tokens of rows, padded on the right. */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    record Side(int rows, int time, long[] ids, byte[] visible) {
        BatchContext whole() {
            return BatchContext.whole(rows, time, visible);
        }

        Tensor tensor(Tape tape) {
            return tape.keep(Tensors.of(ids, rows, time));
        }
    }

    /**
     * The rows of a batch in two: what is read, and behind it what is labelled.
     *
     * @param source what is no label
     * @param target the labels
     */
    record Halves(Side source, Side target) {
        /**
         * @param end token that a source gets at its end, unless it has it; negative for none
         */
        static Halves of(Batch batch, int end) {
            for (int start : batch.starts()) {
                if (start != 0) {
                    throw new ConfigException(
                            "data.packing must be false for a model that reads whole texts: each row is one");
                }
            }
            return new Halves(side(batch, false, end), side(batch, true, NO_END));
        }

        private static Side side(Batch batch, boolean labelled, int end) {
            List<int[]> rows = new ArrayList<>();
            for (int row = 0; row < batch.batch(); row++) {
                rows.add(ids(batch, row, labelled, end));
            }
            int time = Math.max(1, rows.stream().mapToInt(ids -> ids.length).max().orElse(1));
            long[] ids = new long[rows.size() * time];
            byte[] visible = new byte[ids.length];
            for (int row = 0; row < rows.size(); row++) {
                for (int i = 0; i < rows.get(row).length; i++) {
                    ids[row * time + i] = rows.get(row)[i];
                    visible[row * time + i] = 1;
                }
            }
            return new Side(rows.size(), time, ids, visible);
        }

        private static int[] ids(Batch batch, int row, boolean labelled, int end) {
            int from = row * batch.time();
            int[] ids =
                    IntStream.range(from, from + batch.time())
                            .filter(i ->
                                    batch.attentionMask()[i]
                                            && (batch.labels()[i] != Batch.IGNORED) == labelled)
                            .map(i -> batch.inputIds()[i])
                            .toArray();
            boolean open = end >= 0 && (ids.length == 0 || ids[ids.length - 1] != end);
            return open ? IntStream.concat(IntStream.of(ids), IntStream.of(end)).toArray() : ids;
        }
    }

    private static long[] wide(int[] ids) {
        long[] out = new long[ids.length];
        for (int i = 0; i < ids.length; i++) {
            out[i] = ids[i];
        }
        return out;
    }
}
