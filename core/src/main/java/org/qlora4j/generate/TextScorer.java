package org.qlora4j.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.BiConsumer;
import org.qlora4j.autograd.Tape;
import org.qlora4j.error.FormatException;
import org.qlora4j.generate.PrefixTree.Node;
import org.qlora4j.model.CausalModel;
import org.qlora4j.tensor.Tensor;
import org.qlora4j.tensor.TensorScope;
import org.qlora4j.tensor.Tensors;

/**
 * Log-probability of each token of many texts. Texts are sorted, so that what several begin with is
 * computed once ({@link PrefixTree}); a pass over the weights takes many tokens without padding.
 * The model stays its owner's. Runs on the engine thread; after a call it holds no native memory.
 *
 * <p>A text's numbers do not depend on the texts beside it but in the last bits, as libtorch sums
 * products of another shape in another order.
 */
public final class TextScorer {
    /** Tokens of a pass: enough to keep the cores busy. */
    public static final int TOKENS_AT_ONCE = 2048;

    /** Logits made at once, in floats. */
    private static final long LOGITS_AT_ONCE = 16L << 20;

    /** A beginning shorter than this is computed again in the next pass. */
    private static final int WORTH_HOLDING = 16;

    private final CausalModel model;
    private final int tokensAtOnce;

    /**
     * @param tokensAtOnce tokens of a pass over the weights, at least 1; a longer text is a pass of
     *     its own
     */
    public TextScorer(CausalModel model, int tokensAtOnce) {
        if (tokensAtOnce < 1) {
            throw new IllegalArgumentException("%d tokens at once".formatted(tokensAtOnce));
        }
        this.model = model;
        this.tokensAtOnce = tokensAtOnce;
    }

    /**
     * A text and which of its tokens are asked for.
     *
     * @param ids of the text, at most one more than the model's context holds
     * @param from the first token that is scored, at least 1, for the first has nothing before it
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Text(int[] ids, int from) {
        public Text {
            if (from < 1 || from >= ids.length) {
                throw new IllegalArgumentException(
                        "no token is scored from %d of %d".formatted(from, ids.length));
            }
        }

        /** Ids that the model reads: the last one it only predicts. */
        int inputs() {
            return ids.length - 1;
        }
    }

    /**
     * What the model says of a text's tokens, one entry for each that was asked for.
     *
     * @param logProbabilities log p of the token after those before it, in nats
     * @param likeliest the token that would have been likeliest there
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Score(float[] logProbabilities, int[] likeliest) {
        /** log p of all these tokens. */
        public double sum() {
            double sum = 0;
            for (float p : logProbabilities) {
                sum += p;
            }
            return sum;
        }
    }

    /** Texts that are computed in one pass, and what of the pass before it they go on from. */
    private record Pass(List<Integer> texts, int held) {}

    /**
     * Scores texts.
     *
     * @param done takes each score with the index of its text, in the order in which they are
     *     computed
     * @throws FormatException if an id is none of the model's, or the model gives logits that are
     *     not finite
     */
    public void score(List<Text> texts, BiConsumer<Integer, Score> done) {
        texts.forEach(this::check);
        List<Pass> passes = passes(texts);
        HeldPrefix held = HeldPrefix.NONE;
        try {
            for (int i = 0; i < passes.size(); i++) {
                int keep = i + 1 < passes.size() ? passes.get(i + 1).held() : 0;
                HeldPrefix next = pass(texts, passes.get(i), held, keep, done);
                held.close();
                held = next;
            }
        } finally {
            held.close();
        }
    }

    private void check(Text text) {
        if (text.inputs() > model.maxPositions()) {
            throw FormatException.of(
                    "a text of %d tokens is longer than the model's context of %d",
                    text.inputs(), model.maxPositions());
        }
        for (int id : text.ids()) {
            if (id < 0 || id >= model.vocabularySize()) {
                throw FormatException.of(
                        "a text holds token id %d, the model has ids 0 to %d; is tokenizer.json the one that came with the model?",
                        id, model.vocabularySize() - 1);
            }
        }
    }

    /** Sorted texts, cut where the tokens that are new become too many. */
    private List<Pass> passes(List<Text> texts) {
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < texts.size(); i++) {
            order.add(i);
        }
        order.sort((a, b) -> compare(texts.get(a), texts.get(b)));
        List<Pass> passes = new ArrayList<>();
        List<Integer> now = new ArrayList<>();
        long tokens = 0;
        for (int i = 0; i < order.size(); i++) {
            Text text = texts.get(order.get(i));
            int shared = i == 0 ? 0 : PrefixTree.shared(texts.get(order.get(i - 1)), text);
            int added = text.inputs() - shared;
            if (!now.isEmpty() && tokens + added > tokensAtOnce) {
                passes.add(new Pass(List.copyOf(now), heldFor(texts, now, passes)));
                now.clear();
                tokens = 0;
            }
            now.add(order.get(i));
            tokens += added;
        }
        if (!now.isEmpty()) {
            passes.add(new Pass(List.copyOf(now), heldFor(texts, now, passes)));
        }
        return passes;
    }

    /** By what the model reads; a text stands before those that it is the beginning of. */
    private static int compare(Text a, Text b) {
        return Arrays.compare(a.ids(), 0, a.inputs(), b.ids(), 0, b.inputs());
    }

    /** Tokens of the last text of the pass before that are not computed again. */
    private static int heldFor(List<Text> texts, List<Integer> now, List<Pass> before) {
        if (before.isEmpty()) {
            return 0;
        }
        Text last = texts.get(before.getLast().texts().getLast());
        int held = PrefixTree.shared(last, texts.get(now.getFirst()));
        for (int text : now) { // what is predicted from a position needs it in this pass
            held = Math.min(held, texts.get(text).from() - 1);
        }
        return held < WORTH_HOLDING ? 0 : held;
    }

    /** Computes a pass; what the next one goes on from, which the caller closes. */
    private HeldPrefix pass(
            List<Text> texts,
            Pass pass,
            HeldPrefix held,
            int keep,
            BiConsumer<Integer, Score> done) {
        List<Text> own = pass.texts().stream().map(texts::get).toList();
        PrefixTree tree = PrefixTree.of(own, held.length());
        Rows rows = new Rows(own, tree);
        try (TensorScope step = TensorScope.openSafetyNet();
                PrefixTreeContext seen = new PrefixTreeContext(tree, held, keep, model);
                Tape tape = Tape.inference()) {
            Tensor ids = tape.keep(Tensors.of(tree.ids(), 1, tree.tokens()));
            Tensor hidden = model.hidden(tape, ids, seen, false).value();
            rows.read(hidden);
            for (int i = 0; i < own.size(); i++) {
                done.accept(pass.texts().get(i), rows.scores[i]);
            }
            return seen.takeHeld();
        }
    }

    /** The positions of a pass from which something is predicted. */
    private final class Rows {
        private final List<Text> texts;
        private final Score[] scores;
        // place in the pass to what is predicted there, each as text and place in its score
        private final TreeMap<Integer, List<int[]>> wanted = new TreeMap<>();

        Rows(List<Text> texts, PrefixTree tree) {
            this.texts = texts;
            this.scores = new Score[texts.size()];
            for (int i = 0; i < scores.length; i++) {
                Text text = texts.get(i);
                int count = text.ids().length - text.from();
                scores[i] = new Score(new float[count], new int[count]);
                Node node = tree.end(i);
                for (int at = count - 1; at >= 0; at--) {
                    int position = text.from() + at - 1;
                    while (position < node.from()) {
                        node = Objects.requireNonNull(node.parent());
                    }
                    wanted.computeIfAbsent(node.place(position), p -> new ArrayList<>())
                            .add(new int[] {i, at});
                }
            }
        }

        void read(Tensor hidden) {
            List<Integer> places = List.copyOf(wanted.keySet());
            int most = (int) Math.max(1, LOGITS_AT_ONCE / model.vocabularySize());
            for (int from = 0; from < places.size(); from += most) {
                try (TensorScope scope = TensorScope.open()) {
                    read(hidden, places.subList(from, Math.min(places.size(), from + most)));
                }
            }
        }

        private void read(Tensor hidden, List<Integer> places) {
            long[] index = places.stream().mapToLong(Integer::longValue).toArray();
            Tensor rows = hidden.indexSelect(1, Tensors.of(index, index.length));
            Tensor logits = model.logits(rows); // [places, vocabulary]
            LogSums logSums = new LogSums(logits);
            long[] likeliest = logits.argmax(1).toLongs();
            List<Long> cells = new ArrayList<>();
            long vocabulary = logits.size(1);
            for (int row = 0; row < index.length; row++) {
                for (int[] at : predicted(places.get(row))) {
                    cells.add(row * vocabulary + token(at));
                }
            }
            long[] flat = cells.stream().mapToLong(Long::longValue).toArray();
            float[] chosen =
                    logits.reshape(-1).indexSelect(0, Tensors.of(flat, flat.length)).toFloats();
            int cell = 0;
            for (int row = 0; row < index.length; row++) {
                for (int[] at : predicted(places.get(row))) {
                    float p = logSums.logProbability(row, chosen[cell++]);
                    if (!Float.isFinite(p)) {
                        throw FormatException.of(
                                "the model gives log-probability %s to token %d; its weights or its adapter are damaged, or too large for the compute dtype: try f32",
                                p, token(at));
                    }
                    scores[at[0]].logProbabilities()[at[1]] = p;
                    scores[at[0]].likeliest()[at[1]] = (int) likeliest[row];
                }
            }
        }

        private List<int[]> predicted(int place) {
            return wanted.getOrDefault(place, List.of());
        }

        private int token(int[] at) {
            Text text = texts.get(at[0]);
            return text.ids()[text.from() + at[1]];
        }
    }
}
