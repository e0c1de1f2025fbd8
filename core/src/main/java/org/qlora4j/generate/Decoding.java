package org.qlora4j.generate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.NavigableSet;
import java.util.Objects;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.grammar.TokenMask;
import org.qlora4j.lora.AdapterRows;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.model.CausalModel;

/**
 * The loop under all generation: texts join and leave a running batch at every token (continuous
 * batching, Orca, OSDI 2022). Prompts that begin as another did are read from there on. {@link
 * #begin} gives a text a row, each {@link #step} reads pieces of prompts and gives every text that
 * has been read one token with one pass over the weights. Runs on the engine thread; model and head
 * stay their owner's.
 */
public final class Decoding implements AutoCloseable {
    /** Lengths of pieces are multiples, because libtorch prepares a product anew for each. */
    private static final int PADDING = 32;

    private final CausalModel model;
    private final NextLogits next;
    private final KeyValueCache cache;
    private final Manner manner;
    private final @Nullable Text[] texts; // by row
    private final List<Text> unread = new ArrayList<>(); // in the order of their beginnings
    private final NavigableSet<Text> waiting = // for room in the cache
            new TreeSet<>(Comparator.comparingLong(text -> text.order));
    private final PrefixRows prefixes;
    private final CacheSize size;
    private final CacheRoom room;
    private long begun;
    private long reused;
    private long gaveWay;
    private boolean stalled;

    /**
     * A text to continue.
     *
     * @param prompt ids, at least one, and fewer than the model's context holds; what an encoder
     *     reads if there is one
     * @param adapter that computes for this text alone; null for the model as it is
     * @param mask what the text may be, of this text alone; null for anything
     * @param receiver takes the tokens
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Request(
            int[] prompt,
            GenerationConfig config,
            @Nullable LoraAdapter adapter,
            @Nullable TokenMask mask,
            Receiver receiver) {
        /** A text that may be anything. */
        public Request(
                int[] prompt,
                GenerationConfig config,
                @Nullable LoraAdapter adapter,
                Receiver receiver) {
            this(prompt, config, adapter, null, receiver);
        }
    }

    /**
     * How the texts of a batch share the machine.
     *
     * @param rows texts at once, at least 1
     * @param promptPositions of prompts that a step reads at most, at least 1; further ones wait,
     *     so that texts under way go on
     * @param repeatable whether every step has the same shape, so that a text depends on its prompt
     *     and settings alone; otherwise a step computes what it must
     * @param cacheBytes that keys and values of all texts have at most, those kept of ended ones
     *     too
     */
    public record Manner(int rows, int promptPositions, boolean repeatable, long cacheBytes) {
        public Manner {
            if (rows < 1 || promptPositions < 1) {
                throw new IllegalArgumentException(
                        "%d rows, %d positions of prompts".formatted(rows, promptPositions));
            }
        }

        /** One text at a time. */
        public static final Manner ALONE = new Manner(1, Integer.MAX_VALUE, true, Long.MAX_VALUE);

        /**
         * Many texts, for all of which somebody waits: prompts are read as soon as a row is free.
         */
        public static Manner together(int rows) {
            return new Manner(rows, Integer.MAX_VALUE, true, Long.MAX_VALUE);
        }

        /** Texts of many people, each of whom waits for his own. */
        public static Manner shared(int rows, int promptPositions) {
            return shared(rows, promptPositions, Long.MAX_VALUE);
        }

        /** As {@link #shared(int, int)}, with a bound of the cache. */
        public static Manner shared(int rows, int promptPositions, long cacheBytes) {
            return new Manner(rows, promptPositions, false, cacheBytes);
        }
    }

    public Decoding(CausalModel model, InferenceHead head, Manner manner) {
        this.model = model;
        this.manner = manner;
        this.next = new NextLogits(model, head);
        this.cache = new KeyValueCache(model, manner.rows());
        this.texts = new @Nullable Text[manner.rows()];
        this.prefixes = new PrefixRows(manner.rows());
        this.size = CacheSize.of(model);
        this.room = new CacheRoom(cache, prefixes, size, manner.cacheBytes());
    }

    /** Whether a row is free, and no text waits for room in the cache. */
    public boolean hasRoom() {
        return waiting.isEmpty() && hasFreeRow();
    }

    private boolean hasFreeRow() {
        return Arrays.stream(texts).anyMatch(Objects::isNull);
    }

    /** Texts that wait for room in the cache. */
    public int waiting() {
        return waiting.size();
    }

    /**
     * Whether the last step went on with no text, since what was {@linkplain #take taken} is not
     * back.
     */
    public boolean isStalled() {
        return stalled;
    }

    /** Times that a text gave way to an older one. */
    public long gaveWay() {
        return gaveWay;
    }

    /** Bytes of keys and values, of what was taken too. */
    public long cacheBytes() {
        return room.bytes();
    }

    /** Most bytes of keys and values of its texts at once so far. */
    long peakBytes() {
        return cache.peakBytes();
    }

    /**
     * Takes bytes of the bound for keys and values that lie elsewhere.
     *
     * @return whether there was room; if not, ask again after a step
     */
    public boolean take(long bytes) {
        return room.take(bytes, this::isKept);
    }

    /** Gives back what was taken. */
    public void give(long bytes) {
        room.give(bytes);
    }

    /** Bytes that are taken. */
    public long taken() {
        return room.outside();
    }

    /** Frees what is kept of texts that an adapter computed. */
    public void forget(LoraAdapter adapter) {
        for (int row = 0; row < texts.length; row++) {
            if (prefixes.isOf(row, adapter)) {
                prefixes.forget(row);
                if (isKept(row)) {
                    cache.drop(row);
                }
            }
        }
    }

    /** Whether a row holds nothing of a text under way. */
    private boolean isKept(int row) {
        Text text = texts[row];
        return text == null || !text.hasRoom;
    }

    /** Whether no text is under way. */
    public boolean isIdle() {
        return Arrays.stream(texts).allMatch(Objects::isNull);
    }

    /** Texts under way. */
    public int size() {
        return (int) Arrays.stream(texts).filter(Objects::nonNull).count();
    }

    /**
     * Takes a text in; the steps that follow go on with it.
     *
     * @throws ConfigException if the prompt is empty, or it or the answer too long
     * @throws FormatException if an id is none of the model's
     * @throws IllegalStateException if no row is free
     */
    public Text begin(Request request) {
        check(model, request);
        checkRoom(model, request, manner.cacheBytes());
        Text text = text(request);
        if (!hasFreeRow()) {
            throw new IllegalStateException("no row is free");
        }
        int row = prefixes.choose(request, index -> texts[index] == null);
        text.order = begun++;
        texts[row] = text;
        if (texts.length == 1 && manner.repeatable()) {
            cache.reserve(text.last);
        }
        waiting.add(text);
        admit();
        return text;
    }

    /** Lets texts that wait be read, in the order of their beginnings, as far as there is room. */
    private void admit() {
        while (!waiting.isEmpty()) {
            Text text = waiting.first();
            int row = Arrays.asList(texts).indexOf(text);
            PrefixRows.Found found = prefixes.longest(text.toRead, text.request.adapter());
            if (found != null) {
                prefixes.touch(found.row()); // not that which goes first
            }
            int sourceTokens = text.source == null ? 0 : ReadSource.tokens(model, text.source);
            long beside = sourceTokens * size.source() + sourcesToRead() + nextGrowth();
            if (!room.grow(row, text.toRead.length + 1, text.last, beside, this::isKept)) {
                return;
            }
            text.hasRoom = true;
            waiting.remove(text);
            unread.add(text);
        }
    }

    /** Bytes by which texts under way grow next; without them a new one would soon give way. */
    private long nextGrowth() {
        long bytes = 0;
        for (int row = 0; row < texts.length; row++) {
            Text text = texts[row];
            int held = cache.capacity(row);
            if (text != null && text.hasRoom && held < text.last) {
                bytes += cache.growth(row, held + 1, text.last, size);
            }
        }
        return bytes;
    }

    /** Bytes of sources that texts have room for and that were not yet read. */
    private long sourcesToRead() {
        long tokens = 0;
        for (Text text : texts) {
            if (text != null && text.hasRoom && text.source != null && text.read == 0) {
                tokens += ReadSource.tokens(model, text.source);
            }
        }
        return tokens * size.source();
    }

    /** Gives every text that goes on room for a position; old ones take it from young ones. */
    private void growTexts() {
        List<Text> byAge = new ArrayList<>();
        for (Text text : texts) {
            if (text != null && text.hasRoom && !text.isReading()) {
                byAge.add(text);
            }
        }
        byAge.sort(Comparator.comparingLong(text -> text.order));
        for (Text text : byAge) {
            int row = Arrays.asList(texts).indexOf(text);
            int wanted = cache.length(row) + 1;
            while (text.hasRoom
                    && cache.capacity(row) < wanted
                    && !room.grow(row, wanted, text.last, sourcesToRead(), this::isKept)) {
                giveWay(youngest());
            }
        }
    }

    /** That text of those with a store which began last. */
    private Text youngest() {
        Text youngest = null;
        for (Text text : texts) {
            if (text != null && text.hasRoom && (youngest == null || text.order > youngest.order)) {
                youngest = text;
            }
        }
        return Objects.requireNonNull(youngest, "one of them asks for room");
    }

    private void giveWay(Text text) {
        int row = Arrays.asList(texts).indexOf(text);
        prefixes.forget(row);
        cache.drop(row);
        unread.remove(text);
        text.giveWay();
        waiting.add(text);
        gaveWay++;
    }

    /** A text, whose decoder reads the prompt, or a start behind which it answers the prompt. */
    private Text text(Request request) {
        int fit = size.positions(manner.cacheBytes(), ReadSource.tokens(model, request.prompt()));
        int last = Math.min(lastPosition(model, request), fit);
        if (!ReadSource.isFor(model)) {
            return new Text(request, null, last, model.eosIds());
        }
        int[] start = ReadSource.decoderPrompt(model, request.prompt());
        Request answer =
                new Request(
                        start,
                        request.config(),
                        request.adapter(),
                        request.mask(),
                        request.receiver());
        return new Text(answer, request.prompt(), last, model.eosIds());
    }

    /**
     * Refuses what {@link #begin} would.
     *
     * @throws ConfigException if the prompt is empty or too long
     * @throws FormatException if an id is none of the model's
     */
    public static void check(CausalModel model, Request request) {
        int[] prompt = request.prompt();
        if (prompt.length == 0) {
            throw new ConfigException("the prompt is empty; give at least one token");
        }
        if (prompt.length >= model.maxPositions()) {
            throw ConfigException.of(
                    "the prompt of %d tokens leaves no room for an answer in the model's context of"
                            + " %d; shorten it",
                    prompt.length, model.maxPositions());
        }
        if (ReadSource.isFor(model) && request.config().promptLogprobs() >= 0) {
            throw ConfigException.of(
                    "models of type %s read prompts whole and give no probabilities of their tokens",
                    model.shape().facts().type());
        }
        for (int id : prompt) {
            if (id < 0 || id >= model.vocabularySize()) {
                throw FormatException.of(
                        "the prompt holds token id %d, the model has ids 0 to %d; is tokenizer.json"
                                + " the one that came with the model?",
                        id, model.vocabularySize() - 1);
            }
        }
    }

    /**
     * Refuses a text that a bounded cache cannot hold, though it were alone there. A number of new
     * tokens that is the largest of all stands for as many as there is room for.
     *
     * @throws ConfigException that says how many positions there are
     */
    public static void checkRoom(CausalModel model, Request request, long cacheBytes) {
        int sourceTokens = ReadSource.tokens(model, request.prompt());
        int fit = CacheSize.of(model).positions(cacheBytes, sourceTokens);
        int prompt = ReadSource.decoderPrompt(model, request.prompt()).length;
        if (prompt >= fit) {
            throw ConfigException.of(
                    "the prompt of %d tokens does not fit into the key-value cache, which holds %d positions;"
                            + " shorten it, or give the cache more memory",
                    request.prompt().length, fit);
        }
        int wanted = lastPosition(model, request);
        if (wanted > fit && request.config().maxNewTokens() < Integer.MAX_VALUE) {
            throw ConfigException.of(
                    "a prompt of %d tokens and %d new ones do not fit into the key-value cache, which holds"
                            + " %d positions; ask for at most %d new tokens, or give the cache more memory",
                    request.prompt().length, request.config().maxNewTokens(), fit, fit - prompt);
        }
    }

    /** Positions that prompt and continuation fill at most. */
    static int lastPosition(CausalModel model, Request request) {
        return (int)
                Math.min(
                        model.maxPositions(),
                        (long) ReadSource.decoderPrompt(model, request.prompt()).length
                                + request.config().maxNewTokens());
    }

    /**
     * Reads what it may of prompts, then gives every text whose prompt is read a token. A text
     * whose prompt ends here gets its first two.
     *
     * @throws FormatException if the model gives logits that are not finite, unless the text's
     *     receiver takes the failure; this must then be closed
     */
    public void step() {
        for (int row = 0; row < texts.length; row++) {
            Text text = texts[row];
            if (text != null && text.isCancelled()) {
                end(row, StopReason.CANCELLED);
            }
        }
        admit();
        stalled = !waiting.isEmpty() && waiting.size() == size();
        readPrompts();
        if (!manner.repeatable()) {
            closeGaps();
        }
        takeTokens();
    }

    private void readPrompts() {
        int left = manner.promptPositions();
        while (left > 0 && !unread.isEmpty()) {
            Text text = unread.getFirst();
            int row = Arrays.asList(texts).indexOf(text);
            left -= readPiece(text, row, left);
            unread.removeFirst();
            if (text.isReading()) {
                unread.add(text); // a long prompt lets short ones pass
            } else {
                begin(text, row);
            }
        }
    }

    /** Gives a text that has been read its first token, unless it has some from before. */
    private void begin(Text text, int row) {
        if (text.isResumed()) {
            return;
        }
        if (text.request.config().promptLogprobs() >= 0) {
            text.request.receiver().promptRead(List.copyOf(text.promptTokens));
        }
        tell(row, take(text, text.firstLogits.clone(), text.read - 1));
    }

    /** Reads a piece of a prompt, or copies what another row has of the same; positions read. */
    private int readPiece(Text text, int row, int most) {
        int[] prompt = text.toRead;
        boolean scored = text.request.config().promptLogprobs() >= 0 && !text.isResumed();
        if (text.read == 0 && !scored) {
            if (!text.isResumed() && copied(text, row)) {
                prefixes.forget(row);
                return 0;
            }
            if (!manner.repeatable() && text.source == null) {
                takePrefix(text, row);
            }
        }
        prefixes.forget(row); // it is written over from here on
        int from = text.read;
        int count = Math.min(Math.min(most, NextLogits.CHUNK), prompt.length - from);
        int time = count;
        if (texts.length > 1) { // what stands behind the piece is seen by nothing in it
            int padded = (count + PADDING - 1) / PADDING * PADDING;
            time = Math.min(padded, model.maxPositions() - from);
        }
        float[] logits;
        List<@Nullable LoraAdapter> own = Collections.singletonList(text.request.adapter());
        try (AdapterRows rows = AdapterRows.attach(model.linears(), own)) {
            if (from == 0 && text.source != null) {
                cache.readSource(model, row, text.source);
            }
            int top = text.request.config().promptLogprobs();
            NextLogits.Scores scores =
                    scored ? new NextLogits.Scores(top, text.promptTokens) : null;
            logits = next.read(prompt, from, from + count, time, cache, row, scores);
        }
        text.read = from + count;
        if (!text.isReading()) {
            text.wasRead(logits);
        }
        return count;
    }

    /**
     * Gives a text what a row holds of the beginning of its prompt: that of another text, or of one
     * that has ended. The last token is always read, for what follows it.
     */
    private void takePrefix(Text text, int row) {
        for (int other = 0; other < texts.length; other++) {
            Text live = texts[other];
            if (live != null && live != text && cache.length(other) > 0) {
                prefixes.put(other, live.held(cache.length(other)), live.request.adapter());
            }
        }
        PrefixRows.Found found = prefixes.longest(text.toRead, text.request.adapter());
        for (int other = 0; other < texts.length; other++) {
            if (texts[other] != null && texts[other] != text && cache.length(other) > 0) {
                prefixes.forget(other); // it grows on
            }
        }
        if (found != null) {
            if (found.row() == row) {
                cache.restore(row, found.positions());
            } else {
                cache.copy(found.row(), row, found.positions());
            }
            text.read = found.positions();
            reused += found.positions();
        }
    }

    /** Positions of prompts that were not computed, since a row held them. */
    public long reused() {
        return reused;
    }

    /** Gives a text what another that has been read holds of the very same prompt. */
    private boolean copied(Text text, int row) {
        for (int other = 0; other < texts.length; other++) {
            Text known = texts[other];
            if (known != null
                    && other != row
                    && !known.isReading()
                    && known.request.adapter() == text.request.adapter()
                    && Arrays.equals(known.source, text.source)
                    && Arrays.equals(known.request.prompt(), text.request.prompt())) {
                cache.copy(other, row, text.request.prompt().length);
                reused += text.request.prompt().length;
                text.wasRead(known.firstLogits);
                return true;
            }
        }
        return false;
    }

    /** Moves the last texts into free rows before them, so that a step has few rows. */
    private void closeGaps() {
        int free = 0;
        for (int row = texts.length - 1; row > free; row--) {
            Text text = texts[row];
            if (text == null) {
                continue;
            }
            while (free < row && texts[free] != null) {
                free++;
            }
            if (free < row) {
                texts[free] = text;
                texts[row] = null;
                cache.exchange(row, free);
                prefixes.exchange(row, free);
            }
        }
    }

    private void takeTokens() {
        growTexts();
        int rows = texts.length;
        while (!manner.repeatable() && rows > 0 && texts[rows - 1] == null) {
            rows--;
        }
        boolean[] goesOn = new boolean[rows];
        long[] ids = new long[rows];
        boolean any = false;
        for (int row = 0; row < rows; row++) {
            Text text = texts[row];
            if (text != null && text.hasRoom && !text.isReading()) {
                goesOn[row] = true;
                ids[row] = text.tokens.getLast();
                any = true;
            }
        }
        if (!any) {
            return;
        }
        float[][] logits = logits(ids, goesOn);
        // a row's softmax over the vocabulary takes a while: all cores share them
        List<@Nullable RuntimeException> failures =
                IntStream.range(0, rows)
                        .parallel()
                        .mapToObj(row ->
                                goesOn[row]
                                        ? take(text(row), logits[row], cache.length(row) - 1)
                                        : null)
                        .toList();
        for (int row = 0; row < rows; row++) {
            if (goesOn[row]) {
                tell(row, failures.get(row));
            }
        }
    }

    /** Logits of what follows each row that goes on, in one pass for all that can share one. */
    private float[][] logits(long[] ids, boolean[] goesOn) {
        float[][] out = new float[ids.length][];
        boolean[] left = goesOn.clone();
        for (int first = 0; first < ids.length; first++) {
            if (!left[first]) {
                continue;
            }
            LoraAdapter adapter = text(first).request.adapter();
            boolean[] together = new boolean[ids.length];
            List<@Nullable LoraAdapter> adapters = new ArrayList<>();
            for (int row = 0; row < ids.length; row++) {
                LoraAdapter own = left[row] ? text(row).request.adapter() : adapter;
                together[row] = left[row] && AdapterRows.share(adapter, own);
                left[row] &= !together[row];
                // what a row computes that does not go on is not looked at
                adapters.add(together[row] || row == 0 ? own : adapters.getLast());
            }
            try (AdapterRows rows = AdapterRows.attach(model.linears(), adapters)) {
                List<float[]> logits = next.step(ids, cache.step(ids.length, together));
                for (int row = 0; row < ids.length; row++) {
                    out[row] = together[row] ? logits.get(row) : out[row];
                }
            }
        }
        return out;
    }

    /** Chooses a text's next token; what went wrong, or null. */
    private static @Nullable RuntimeException take(Text text, float[] logits, int position) {
        try {
            text.take(NextLogits.finite(logits, position));
            return null;
        } catch (RuntimeException e) {
            return e;
        }
    }

    private void tell(int row, @Nullable RuntimeException failure) {
        Text text = text(row);
        if (failure != null) {
            free(row);
            text.fail(failure);
            return;
        }
        StopReason reason = text.tell();
        if (reason != null) {
            end(row, reason);
        }
    }

    private void end(int row, StopReason reason) {
        Text text = text(row);
        free(row);
        text.end(reason);
    }

    private void free(int row) {
        Text text = text(row);
        unread.remove(text);
        boolean waited = waiting.remove(text); // then its row is as one before left it
        texts[row] = null;
        if (manner.repeatable() || waited) {
            cache.clear(row);
        } else if (text.source == null && cache.length(row) > 0) {
            prefixes.put(row, text.held(cache.length(row)), text.request.adapter());
            cache.clear(row);
        } else if (!prefixes.holds(row)) {
            cache.drop(row);
        }
    }

    private Text text(int row) {
        return Objects.requireNonNull(texts[row], "the row has a text");
    }

    @Override
    public void close() {
        for (int row = 0; row < texts.length; row++) {
            prefixes.forget(row);
        }
        cache.close();
        next.close();
    }
}
