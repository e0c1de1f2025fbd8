package org.qlora4j.eval;

import static org.qlora4j.error.Require.require;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.autograd.Tape;
import org.qlora4j.checkpoint.SpoolFile;
import org.qlora4j.data.Example;
import org.qlora4j.error.FormatException;
import org.qlora4j.export.AdapterMerge;
import org.qlora4j.export.MergeTarget;
import org.qlora4j.export.MergedModels;
import org.qlora4j.model.BatchContext;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.DType;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;
import org.qlora4j.tokenize.Tokenizer;

/**
 * How far merged models are from the base with the adapter on it, on texts: the mean
 * Kullback-Leibler divergence of the next token's distribution, and perplexity. One model at a time
 * is in memory; the reference's log-probabilities wait on disk.
 */
public final class MergeComparison {
    /** Bytes of log-probabilities that are kept, which bounds the tokens measured. */
    private static final long KEPT_BYTES = 1L << 29;

    private static final int MAX_TOKENS = 4096;

    /** Tokens that are predicted from one text. */
    private static final int WINDOW = 512;

    /** Divergences, in nats, that are as good as none. */
    private static final double CLOSE = 1e-3;

    private MergeComparison() {}

    /**
     * A piece of text.
     *
     * @param ids its tokens
     * @param labelled those that are predicted
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Piece(int[] ids, BitSet labelled) {}

    /**
     * One model.
     *
     * @param target null for the base with the adapter on it
     * @param divergence mean KL(reference || this) a token, in nats
     * @param perplexity a token
     */
    public record Row(@Nullable MergeTarget target, double divergence, double perplexity) {}

    /**
     * All of them.
     *
     * @param tokens that were predicted
     * @param rows the reference first
     */
    public record Result(long tokens, List<Row> rows) {
        /** The target nearest to the reference; the larger file only where it is nearer. */
        public MergeTarget best() {
            List<Row> merged = rows.subList(1, rows.size());
            double least = merged.stream().mapToDouble(Row::divergence).min().orElseThrow();
            return merged.stream()
                    .filter(row -> row.divergence() <= Math.max(CLOSE, 1.05 * least))
                    .map(Row::target)
                    .min(Comparator.comparing(target -> target == MergeTarget.NF4 ? 1 : 0))
                    .orElseThrow();
        }
    }

    /** The tokens of a text file, in pieces that the model takes. */
    public static List<Piece> ofText(Path file, Path folder, int maxPositions) {
        String text;
        try {
            text = Files.readString(file);
        } catch (IOException e) {
            throw new FormatException(file + " cannot be read as UTF-8 text: " + e.getMessage(), e);
        }
        int length = Math.min(WINDOW, maxPositions);
        List<Piece> pieces = new ArrayList<>();
        try (Tokenizer tokenizer = Tokenizer.load(folder)) {
            int[] ids = tokenizer.encode(file.toString(), text, true);
            for (int from = 0; from < ids.length - 1; from += length) {
                int count = Math.min(length, ids.length - from);
                int[] piece = Arrays.copyOfRange(ids, from, from + count);
                BitSet labelled = new BitSet();
                labelled.set(1, count);
                pieces.add(new Piece(piece, labelled));
            }
        }
        require(!pieces.isEmpty(), "%s holds too little text to predict anything", file);
        return pieces;
    }

    /** Examples as training had them: what it learnt is what is predicted. */
    public static List<Piece> ofExamples(Iterable<Example> examples) {
        List<Piece> pieces = new ArrayList<>();
        examples.forEach(e -> pieces.add(new Piece(e.ids(), e.labelled())));
        return pieces;
    }

    /**
     * Measures all targets.
     *
     * @param written folder of one of them
     * @param pieces read from the start, until enough tokens are predicted
     */
    public static Result measure(AdapterMerge merge, Path written, List<Piece> pieces) {
        return Engine.call(() -> {
            Path around = written.toAbsolutePath().getParent();
            try (SpoolFile spool = new SpoolFile(around == null ? written : around)) {
                List<MemorySegment> reference = new ArrayList<>();
                List<Row> rows = new ArrayList<>();
                long[] tokens = new long[1];
                try (MergedModels.Adapted adapted = MergedModels.adapted(merge)) {
                    List<Piece> taken = taken(pieces, adapted.model().vocabularySize());
                    rows.add(reference(adapted.model(), taken, spool, reference, tokens));
                }
                for (MergeTarget target : MergeTarget.values()) {
                    try (CausalModel model = MergedModels.merged(merge, target, written)) {
                        rows.add(row(target, model, pieces, reference));
                    }
                }
                return new Result(tokens[0], rows);
            }
        });
    }

    private static List<Piece> taken(List<Piece> pieces, int vocabulary) {
        long most = Math.min(MAX_TOKENS, KEPT_BYTES / (4L * vocabulary));
        List<Piece> taken = new ArrayList<>();
        long tokens = 0;
        for (Piece piece : pieces) {
            int count = labels(piece).length;
            if (count == 0 || (tokens + count > most && !taken.isEmpty())) {
                if (count > 0) {
                    break;
                }
                continue;
            }
            taken.add(piece);
            tokens += count;
        }
        require(!taken.isEmpty(), "the text holds no token that is predicted; give another --text");
        return taken;
    }

    /** Places of the tokens that are predicted from something. */
    private static int[] labels(Piece piece) {
        return piece.labelled().stream().filter(t -> t > 0 && t < piece.ids().length).toArray();
    }

    private static Row reference(
            CausalModel model,
            List<Piece> pieces,
            SpoolFile spool,
            List<MemorySegment> kept,
            long[] tokens) {
        double nats = 0;
        for (Piece piece : pieces) {
            try (TensorScope scope = TensorScope.open();
                    Arena arena = Arena.ofConfined()) {
                Tensor logs = logProbabilities(model, piece);
                nats -= ofLabels(logs, piece);
                tokens[0] += logs.size(0);
                kept.add(spool.append(Tensors.copyOf(logs, arena)));
            }
        }
        return new Row(null, 0, Math.exp(nats / tokens[0]));
    }

    private static Row row(
            MergeTarget target,
            CausalModel model,
            List<Piece> pieces,
            List<MemorySegment> reference) {
        double nats = 0;
        double divergence = 0;
        long tokens = 0;
        int at = 0;
        for (Piece piece : pieces) {
            if (at == reference.size()) {
                break;
            }
            int[] labels = labels(piece);
            if (labels.length == 0) {
                continue;
            }
            try (TensorScope scope = TensorScope.open()) {
                Tensor logs = logProbabilities(model, piece);
                Tensor before = Tensors.fromBytes(DType.F32, logs.shape(), reference.get(at++));
                divergence += before.exp().times(before.minus(logs)).sum().item();
                nats -= ofLabels(logs, piece);
                tokens += labels.length;
            }
        }
        return new Row(target, Math.max(0, divergence / tokens), Math.exp(nats / tokens));
    }

    /** F32 [labels, vocabulary]. */
    private static Tensor logProbabilities(CausalModel model, Piece piece) {
        int time = piece.ids().length;
        int[] before = Arrays.stream(labels(piece)).map(t -> t - 1).toArray();
        long[] ids = Arrays.stream(piece.ids()).asLongStream().toArray();
        try (TensorScope scope = TensorScope.open();
                Tape tape = Tape.inference();
                BatchContext seen = BatchContext.of(1, time)) {
            Tensor hidden =
                    model.hidden(tape, Tensors.of(ids, 1, time), seen, false)
                            .value()
                            .view(time, model.shape().hiddenSize());
            Tensor places = Tensors.of(before, before.length);
            Tensor logits = model.logits(hidden.indexSelect(0, places)).to(DType.F32);
            return scope.promote(logits.minus(logits.logsumexp(1, true)));
        }
    }

    private static double ofLabels(Tensor logs, Piece piece) {
        int[] labels = labels(piece);
        long[] ids = Arrays.stream(labels).mapToLong(t -> piece.ids()[t]).toArray();
        try (TensorScope scope = TensorScope.open()) {
            return logs.gather(1, Tensors.of(ids, ids.length, 1)).sum().item();
        }
    }
}
