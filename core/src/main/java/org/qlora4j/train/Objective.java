package org.qlora4j.train;

import static org.qlora4j.error.Require.require;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.CrossEntropy;
import org.qlora4j.autograd.Head;
import org.qlora4j.autograd.SquaredError;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.config.EvalConfig;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Batch;
import org.qlora4j.error.ConfigException;
import org.qlora4j.metric.ClassScores;
import org.qlora4j.metric.Correlation;
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
    /** The summed loss, as {@code kind} counts it. */
    Var sum(Tape tape, CausalModel model, boolean checkpointing, MicroBatch.Loss kind);

    @Override
    void close();

    static Objective of(CausalModel model, Batch batch) {
        return switch (model.shape().architecture().task()) {
            case Task.NextToken next -> new NextToken(batch);
            case Task.Classify classify -> new Classify(Halves.of(batch), classify);
            case Task.SequenceToSequence(int startId) ->
                    new SequenceToSequence(Halves.of(batch), startId);
        };
    }

    /**
     * Throws where settings ask of a model what its task does not have.
     *
     * @throws ConfigException with the key
     */
    static void check(RunConfig config, ModelShape shape) {
        checkMetric(config.eval(), shape);
        if (shape.architecture().task() instanceof Task.NextToken) {
            return;
        }
        String type = shape.facts().type();
        require(
                !config.data().packing(),
                "data.packing must be false for models of type %s, which read a whole text in each row",
                type);
        require(
                !config.data().trainOnSource(),
                "data.train_on_source must be false for models of type %s, which read the source whole and cannot learn to"
                        + " write it",
                type);
        boolean classifies = shape.architecture().task() instanceof Task.Classify;
        require(
                !classifies
                        || (config.train().samplePrompt().isEmpty()
                                && !config.eval().predictWithGenerate()),
                "train.sample_prompt must be empty and eval.predict_with_generate false for models of type %s, which"
                        + " classify texts and write none",
                type);
        require(
                config.distill().teacher() == null,
                "distill.teacher must be null for models of type %s, which learn from data alone",
                type);
    }

    private static void checkMetric(EvalConfig eval, ModelShape shape) {
        String score = eval.metricForBestModel().score();
        Task task = shape.architecture().task();
        boolean classes = task instanceof Task.Classify c && !c.isRegression();
        boolean numbers = task instanceof Task.Classify c && c.isRegression();
        boolean given =
                switch (score) {
                    case "" -> true;
                    case ClassScores.ACCURACY, ClassScores.F1, ClassScores.MATTHEWS -> classes;
                    case Correlation.PEARSON, Correlation.SPEARMAN -> numbers;
                    default -> eval.predictWithGenerate();
                };
        require(
                given,
                "eval.metric_for_best_model must not be eval_%s here: accuracy, f1 and matthews_correlation are of models that classify,"
                        + " pearson and spearmanr of those with model.num_labels 1, rougeL and exact_match of those that write, with"
                        + " eval.predict_with_generate",
                score);
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
            Var hidden = hidden(tape, model, null, checkpointing);
            return loss(tape, hidden, model.head(), kind);
        }

        /**
         * What the layers that are here make of the batch.
         *
         * @param before what the stage before gave; null in the first
         */
        Var hidden(Tape tape, CausalModel model, @Nullable Var before, boolean checkpointing) {
            Tensor ids = tape.keep(Tensors.of(wide(batch.inputIds()), batch.batch(), batch.time()));
            return model.hidden(tape, ids, before, seen, checkpointing);
        }

        /** The summed loss of what the last layers gave. */
        Var loss(Tape tape, Var hidden, Head head, MicroBatch.Loss kind) {
            return kind.of(tape, hidden, head, nextLabels());
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

    /** The class or the number that stands behind a text, as the one label of its row. */
    final class Classify implements Objective {
        private final Halves halves;
        private final Task.Classify task;
        private final BatchContext seen;

        Classify(Halves halves, Task.Classify task) {
            if (halves.target.time != 1) {
                throw new IllegalArgumentException("a text has one label");
            }
            this.halves = halves;
            this.task = task;
            this.seen = halves.source.whole();
        }

        @Override
        public Var sum(Tape tape, CausalModel model, boolean checkpointing, MicroBatch.Loss kind) {
            return loss(tape, hidden(tape, model, checkpointing), model.head(), kind);
        }

        /** The summed loss of what {@link #hidden} gave. */
        Var loss(Tape tape, Var hidden, Head head, MicroBatch.Loss kind) {
            return task.isRegression()
                    ? SquaredError.sum(tape, hidden, head, numbers())
                    : kind.of(tape, hidden, head, labels());
        }

        /** What the head reads of each row [rows, 1, hidden]. */
        Var hidden(Tape tape, CausalModel model, boolean checkpointing) {
            return model.hidden(tape, halves.source.tensor(tape), seen, checkpointing);
        }

        /** The class of each row; of a regression the bits of its number. */
        int[] labels() {
            int[] labels = new int[halves.source.rows];
            Arrays.setAll(labels, row -> (int) halves.target.ids[row * halves.target.time]);
            return labels;
        }

        /** The number of each row. */
        float[] numbers() {
            int[] bits = labels();
            float[] numbers = new float[bits.length];
            for (int row = 0; row < bits.length; row++) {
                numbers[row] = Float.intBitsToFloat(bits[row]);
            }
            return numbers;
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
            CrossContext both = new CrossContext(target, read, halves.source.visible);
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
        static Halves of(Batch batch) {
            for (int i = 0; i < batch.starts().length; i++) {
                if (batch.attentionMask()[i] && batch.starts()[i] != 0) {
                    throw new IllegalArgumentException("rows of several texts");
                }
            }
            return new Halves(side(batch, false), side(batch, true));
        }

        private static Side side(Batch batch, boolean labelled) {
            List<int[]> rows = new ArrayList<>();
            for (int row = 0; row < batch.batch(); row++) {
                rows.add(ids(batch, row, labelled));
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

        private static int[] ids(Batch batch, int row, boolean labelled) {
            int from = row * batch.time();
            return IntStream.range(from, from + batch.time())
                    .filter(i ->
                            batch.attentionMask()[i]
                                    && (batch.labels()[i] != Batch.IGNORED) == labelled)
                    .map(i -> batch.inputIds()[i])
                    .toArray();
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
