package org.qlora4j.train;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Distillation;
import org.qlora4j.autograd.SoftTargets;
import org.qlora4j.autograd.Tape;
import org.qlora4j.config.DistillConfig;
import org.qlora4j.config.RunConfig;
import org.qlora4j.data.Example;
import org.qlora4j.error.FormatException;
import org.qlora4j.family.ModelPlace;
import org.qlora4j.family.Models;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.quant.QuantConfig;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.tokenize.TokenRefinement;
import org.qlora4j.tokenize.Tokenizer;

/**
 * The model that a run learns from. It is asked about each example once and alone, so that its
 * answer is a function of the example; answers are kept for later epochs, 8 bytes for each of
 * {@code top_k} at each trained token.
 */
final class Teacher implements AutoCloseable {
    /** Rows of logits at once, a multiple of the padding. */
    private static final int CHUNK = 128;

    /**
     * Texts are made as long as a multiple of it: libtorch prepares a product anew for each length.
     */
    private static final int PADDING = 32;

    private final DistillConfig config;
    private final CausalModel model;
    private final Tokenizer tokenizer;
    private final Tokenizer student;
    private final TokenRefinement refinement;
    private final List<Example> examples;
    private final Map<Integer, TeacherTargets> known = new HashMap<>();

    private Teacher(
            DistillConfig config,
            CausalModel model,
            Tokenizer tokenizer,
            Tokenizer student,
            TokenRefinement refinement,
            List<Example> examples) {
        this.config = config;
        this.model = model;
        this.tokenizer = tokenizer;
        this.student = student;
        this.refinement = refinement;
        this.examples = examples;
    }

    /**
     * Loads the teacher that the settings name, its weights as in its checkpoint; null if they name
     * none.
     *
     * @param base place of the trained model
     * @param student its tokenizer; stays open longer than the teacher
     */
    static @Nullable Teacher load(
            RunConfig config, ModelPlace base, Tokenizer student, List<Example> examples) {
        String name = config.distill().teacher();
        if (name == null) {
            return null;
        }
        ModelPlace place = ModelPlace.of(Path.of(name));
        TokenRefinement refinement = TokenRefinement.of(place.folder(), base.folder());
        DType compute = config.quantization().computeDtype().onThisMachine();
        QuantConfig asStored = QuantConfig.DEFAULT.withLoad4bit(false);
        Tokenizer tokenizer = Tokenizer.load(place.folder());
        try {
            CausalModel model = Models.load(place, asStored, compute, false, null);
            return new Teacher(config.distill(), model, tokenizer, student, refinement, examples);
        } catch (RuntimeException | Error e) {
            tokenizer.close();
            throw e;
        }
    }

    /**
     * The loss of a batch.
     *
     * @param rows places of the examples of each row, in its order
     * @param time columns of the batch
     */
    MicroBatch.Loss loss(int[][] rows, int time) {
        SoftTargets targets = targets(rows, time);
        var mix = new Distillation.Mix(config.temperature(), config.weight());
        return (tape, hidden, head, labels) ->
                Distillation.sum(tape, hidden, head, labels, targets, mix);
    }

    /**
     * Targets for the positions of a batch.
     *
     * @param rows places of the examples of each row, in its order
     * @param time columns of the batch
     */
    SoftTargets targets(int[][] rows, int time) {
        SoftTargets out = SoftTargets.none(rows.length * time, config.topK());
        for (int row = 0; row < rows.length; row++) {
            int column = 0;
            for (int place : rows[row]) {
                TeacherTargets targets = known.computeIfAbsent(place, p -> ask(examples.get(p)));
                targets.copyTo(out, row * time + column);
                column += examples.get(place).length();
            }
        }
        return out;
    }

    /** Asks about one example. */
    TeacherTargets ask(Example example) {
        int[] ids = tokenizer.encode(student.decode(example.ids(), false));
        if (ids.length > model.maxPositions()) {
            throw FormatException.of(
                    "%s:%d: the example has %d tokens of the teacher, which takes %d",
                    example.file(), example.line(), ids.length, model.maxPositions());
        }
        TeacherTargets.Builder builder = new TeacherTargets.Builder(refinement);
        int padded = Math.min((ids.length + PADDING - 1) / PADDING * PADDING, model.maxPositions());
        try (TensorScope scope = TensorScope.open();
                BatchContext seen = BatchContext.of(1, padded);
                Tape tape = Tape.inference()) {
            Tensor input = Tensors.of(wide(ids, padded), 1, padded);
            Tensor hidden = model.hidden(tape, input, seen, false).value();
            Tensor rows = hidden.view(padded, hidden.size(-1));
            Likely likely = new Likely(0, new float[0], new long[0], 1);
            int done = 0; // tokens of the example
            for (int t = 0; t < ids.length; t++) {
                int[] pieces = refinement.pieces(ids[t]);
                // an example that was cut off may end inside a token: what follows has no target
                if (!continues(example.ids(), done, pieces)) {
                    break;
                }
                if (t == 0 || !anyLabel(example, done, pieces.length)) {
                    for (int i = 0; i < pieces.length; i++) {
                        builder.none();
                    }
                } else {
                    if (likely.end() <= t - 1) {
                        likely = likely(rows, (t - 1) / PADDING * PADDING, padded);
                    }
                    builder.token(pieces, likely.ids(t - 1), likely.probabilities(t - 1));
                }
                done += pieces.length;
            }
            for (; done < example.length(); done++) {
                builder.none();
            }
        }
        return builder.build();
    }

    private static boolean continues(int[] ids, int at, int[] pieces) {
        return at + pieces.length <= ids.length
                && Arrays.equals(ids, at, at + pieces.length, pieces, 0, pieces.length);
    }

    private static boolean anyLabel(Example example, int from, int count) {
        int next = example.labelled().nextSetBit(from);
        return next >= 0 && next < from + count;
    }

    /** The likeliest tokens after some positions, in chunks. */
    private Likely likely(Tensor hidden, int from, int length) {
        int count = Math.min(CHUNK, length - from);
        int k = Math.min(config.topK(), model.vocabularySize());
        try (TensorScope scope = TensorScope.open()) {
            Tensor[] top = model.logits(hidden.narrow(0, from, count)).topk(k);
            Tensor p = top[0].times(1 / config.temperature()).softmax(1);
            return new Likely(from, p.to(DType.F32).toFloats(), top[1].toLongs(), k);
        }
    }

    /**
     * The likeliest tokens at positions from {@code from}, row by row.
     *
     * @param p probabilities [rows, k], summing to 1 in each row
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Likely(int from, float[] p, long[] ids, int k) {
        int end() {
            return from + p.length / k;
        }

        int[] ids(int position) {
            int[] out = new int[k];
            Arrays.setAll(out, j -> (int) ids[(position - from) * k + j]);
            return out;
        }

        float[] probabilities(int position) {
            return Arrays.copyOfRange(p, (position - from) * k, (position - from + 1) * k);
        }
    }

    /** Ids and what nothing before it sees, up to a length. */
    private static long[] wide(int[] ids, int length) {
        return Arrays.copyOf(Arrays.stream(ids).asLongStream().toArray(), length);
    }

    @Override
    public void close() {
        model.close();
        tokenizer.close();
    }
}
