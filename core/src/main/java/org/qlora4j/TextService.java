package org.qlora4j;

import static org.qlora4j.error.Require.given;

import java.lang.ref.Reference;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.WeakHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;
import org.qlora4j.ServedAdapters.Served;
import org.qlora4j.error.ConfigException;
import org.qlora4j.generate.CacheSize;
import org.qlora4j.generate.Decoding;
import org.qlora4j.generate.InferenceHead;
import org.qlora4j.generate.MeanHidden;
import org.qlora4j.generate.StopReason;
import org.qlora4j.grammar.JsonGrammar;
import org.qlora4j.grammar.TokenMask;
import org.qlora4j.grammar.TokenVocabulary;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tokenize.TokenBytes;
import org.qlora4j.tokenize.Tokenizer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Answers requests of many threads in one running batch over one model. Each is answered by the
 * base model or by an adapter of its own. The model is its owner's, who must not close it before
 * this, nor put an adapter on it. Between two tokens others may use the model, and the engine.
 */
public final class TextService implements AutoCloseable {
    private static final Logger LOG = LoggerFactory.getLogger(TextService.class);

    /** Between two looks of who waits for memory. */
    private static final long PATIENCE_MILLIS = 50;

    private final LanguageModel owner; // which must not be collected meanwhile
    private final CausalModel model;
    private final InferenceHead head;
    private final Voice base;
    private final ServiceConfig config; // with bounds in bytes
    private final CacheSize size;
    private final ServedAdapters adapters;
    private final Semaphore embedding = new Semaphore(1, true); // they would compute by turns
    private final Thread thread = new Thread(this::loop, "qlora4j-service");

    // guarded by this
    private final Map<Tokenizer, TokenVocabulary> vocabularies = new WeakHashMap<>(); // by itself
    private final ArrayDeque<AnswerUnderWay> queue = new ArrayDeque<>();
    private boolean closing;

    // of the engine thread alone
    private final Set<AnswerUnderWay> underWay = new LinkedHashSet<>();
    private Decoding decoding;
    private long gaveWayBefore; // in decodings that failed

    private volatile boolean stalled; // until others give memory back
    private volatile int running; // answers in the batch
    private volatile long reused;
    private volatile long gaveWay;
    private volatile long cacheBytes;
    private volatile boolean outsider; // waits for memory, so that nobody else begins
    private final LongAdder answers = new LongAdder();
    private final LongAdder cancelled = new LongAdder();
    private final LongAdder promptTokens = new LongAdder();
    private final LongAdder newTokens = new LongAdder();

    /**
     * Sums over all answers that have ended well.
     *
     * @param reusedTokens of prompts that were not computed, since they began as others
     */
    public record Counts(
            long answers, long cancelled, long promptTokens, long reusedTokens, long newTokens) {}

    TextService(
            LanguageModel owner,
            CausalModel model,
            InferenceHead head,
            Voice base,
            ServiceConfig config) {
        this.owner = owner;
        this.model = model;
        this.head = head;
        this.base = base;
        this.config = config.here();
        this.size = CacheSize.of(model);
        size.requireSome(this.config.kvCacheBytes());
        this.adapters =
                new ServedAdapters(
                        model,
                        base,
                        this.config.adapterBytes(),
                        weights -> decoding.forget(weights));
        this.decoding = Engine.call(this::newDecoding);
        if (contextLength() < model.maxPositions()) {
            LOG.warn(
                    "a text fills at most {} positions and not the model's {}, since the key-value cache has {} bytes",
                    contextLength(),
                    model.maxPositions(),
                    this.config.kvCacheBytes());
        }
        thread.setDaemon(true);
        thread.start();
    }

    private Decoding newDecoding() {
        return new Decoding(
                model,
                head,
                Decoding.Manner.shared(
                        config.streams(), config.promptPositions(), config.kvCacheBytes()));
    }

    /** An answer to come. */
    public interface Ticket {
        /** Asks for its end; the listener is told that, unless it has ended. */
        void cancel();

        /** Tokens of the prompt. */
        int promptTokens();
    }

    /**
     * Takes a request in.
     *
     * @throws BusyException if too many wait, or the service is about to end
     * @throws ConfigException if there is no adapter of that name, or the prompt is empty, too long
     *     or a chat without a template, or prompt and new tokens do not fit into the cache
     * @throws org.qlora4j.error.FormatException if the template refuses the chat, or an id is none
     *     of the model's
     */
    public Ticket submit(TextRequest request, TextListener listener) {
        given(request, "request");
        given(listener, "listener");
        Served served = acquireIfNamed(request.adapter());
        try {
            Voice voice = voice(served);
            int[] ids = voice.ids("the prompt", request.prompt());
            Decoding.Request prompt =
                    new Decoding.Request(
                            ids,
                            request.config(),
                            null, // the weights come when it begins
                            mask(voice, request.grammar()),
                            token -> null);
            Decoding.check(model, prompt);
            Decoding.checkRoom(model, prompt, config.kvCacheBytes());
            AnswerUnderWay answer =
                    new AnswerUnderWay(
                            prompt,
                            served,
                            voice.tokenizer(),
                            model.eosIds(),
                            listener,
                            this::ended);
            synchronized (this) {
                requireOpen();
                if (queue.size() >= config.queue() + Math.max(0, config.streams() - running)) {
                    throw new BusyException(
                            "%d requests are waiting; try again later".formatted(queue.size()));
                }
                queue.add(answer);
                notifyAll();
            }
            return answer;
        } catch (RuntimeException | Error e) {
            release(served);
            throw e;
        }
    }

    private void ended(AnswerUnderWay answer, @Nullable Answer ended) {
        Served served = answer.served();
        count(ended);
        if (served != null) {
            if (answer.isPinned()) {
                adapters.unpin(served);
            }
            adapters.release(served);
        }
    }

    private @Nullable TokenMask mask(Voice voice, @Nullable JsonGrammar grammar) {
        if (grammar == null) {
            return null;
        }
        TokenVocabulary vocabulary;
        synchronized (vocabularies) {
            vocabulary =
                    vocabularies.computeIfAbsent(
                            voice.tokenizer(),
                            tokenizer -> new TokenVocabulary(TokenBytes.of(tokenizer)));
        }
        return vocabulary.mask(grammar);
    }

    /**
     * The mean of a text's last hidden states, which are those that the head reads.
     *
     * @param adapter name of the adapter that reads it; null for the base model
     * @param prompt read as it stands: none is the beginning of an answer
     * @return a number for each place of the hidden state
     * @throws ConfigException if there is no adapter of that name, or the text is empty or too long
     * @throws org.qlora4j.error.FormatException if an id is none of the model's
     */
    public Embedded embed(@Nullable String adapter, Prompt prompt) {
        Served served = acquireIfNamed(adapter);
        try {
            Voice voice = voice(served);
            int[] ids = voice.ids("the text", prompt);
            requireOpen();
            embedding.acquireUninterruptibly();
            try {
                return embed(served, ids);
            } finally {
                embedding.release();
            }
        } finally {
            release(served);
        }
    }

    private Embedded embed(@Nullable Served served, int[] ids) {
        long bytes = size.alone(ids.length);
        if (bytes > config.kvCacheBytes()) {
            throw ConfigException.of(
                    "the text of %d tokens does not fit into the key-value cache, which holds %d"
                            + " positions; shorten it, or give the cache more memory",
                    ids.length, contextLength());
        }
        try (Outside memory = new Outside(served, bytes)) {
            MeanHidden mean = Engine.open(() -> new MeanHidden(model, ids, memory.weights()));
            try {
                while (!mean.isDone()) { // others compute between pieces
                    Engine.run(() -> mean.read(config.promptPositions()));
                }
                return new Embedded(mean.mean(), ids.length);
            } finally {
                Engine.run(mean::close);
            }
        }
    }

    /**
     * Room in the key-value cache and an adapter's weights for who computes beside the batch. While
     * he waits for them no further answer begins.
     */
    private final class Outside implements AutoCloseable {
        private final @Nullable Served served;
        private final long bytes;
        private @Nullable LoraAdapter weights;

        Outside(@Nullable Served served, long bytes) {
            this.served = served;
            this.bytes = bytes;
            try {
                while (!Engine.call(this::take)) {
                    outsider = true;
                    awaitStep();
                }
            } finally {
                outsider = false;
                wake();
            }
        }

        /** Whether there was room. */
        private boolean take() {
            if (!decoding.take(bytes)) {
                return false;
            }
            try {
                weights = served == null ? null : adapters.pin(served);
            } catch (RuntimeException | Error e) {
                decoding.give(bytes);
                throw e;
            }
            if (served != null && weights == null) {
                decoding.give(bytes);
                return false;
            }
            return true;
        }

        @Nullable LoraAdapter weights() {
            return weights;
        }

        @Override
        public void close() {
            Engine.run(() -> decoding.give(bytes));
            if (served != null) {
                adapters.unpin(served);
            }
            wake();
        }
    }

    /** Waits for what a step may have freed, or a while; who calls it looks again. */
    @SuppressWarnings("WaitNotInLoop") // the loop is the caller's
    private synchronized void awaitStep() {
        try {
            wait(PATIENCE_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new BusyException("the request was interrupted while it waited for memory");
        }
    }

    private synchronized void wake() {
        notifyAll();
    }

    /**
     * A text as numbers.
     *
     * @param tokens of the text
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    public record Embedded(float[] vector, int tokens) {}

    private synchronized void requireOpen() {
        if (closing) {
            throw new BusyException("the service is about to end");
        }
    }

    private void count(@Nullable Answer answer) {
        if (answer != null) {
            answers.increment();
            promptTokens.add(answer.promptTokens());
            newTokens.add(answer.newTokens());
            if (answer.stopReason() == StopReason.CANCELLED) {
                cancelled.increment();
            }
        }
    }

    /** What was done so far. */
    public Counts counts() {
        return new Counts(
                answers.sum(), cancelled.sum(), promptTokens.sum(), reused, newTokens.sum());
    }

    /** What memory is in use now, and what was done for want of it. */
    public Memory memory() {
        return new Memory(
                cacheBytes,
                config.kvCacheBytes(),
                gaveWay,
                adapters.bytes(),
                config.adapterBytes(),
                adapters.evicted());
    }

    /**
     * Memory that requests share.
     *
     * @param kvCacheBytes of keys and values, those kept for prompts that begin alike too
     * @param kvCacheLimit bytes that they never exceed
     * @param preempted times that an answer gave its keys and values to an older one, to compute
     *     them again later
     * @param adapterBytes of the weights of adapters
     * @param adapterLimit bytes that they never exceed
     * @param evicted times that the weights of an adapter made way for others
     */
    public record Memory(
            long kvCacheBytes,
            long kvCacheLimit,
            long preempted,
            long adapterBytes,
            long adapterLimit,
            long evicted) {}

    private Voice voice(@Nullable Served served) {
        return served == null ? base : served.voice();
    }

    private @Nullable Served acquireIfNamed(@Nullable String name) {
        return name == null ? null : adapters.acquire(name);
    }

    private void release(@Nullable Served served) {
        if (served != null) {
            adapters.release(served);
        }
    }

    /** Names of the adapters, in the order in which they were loaded. */
    public List<String> adapters() {
        return adapters.names();
    }

    /** The adapters, in the order in which they were loaded. */
    public List<AdapterState> adapterStates() {
        return adapters.states();
    }

    /**
     * An adapter that requests may name.
     *
     * @param bytes of its weights
     * @param loaded whether they are in memory; else the next request reads them again
     */
    public record AdapterState(String name, long bytes, boolean loaded) {}

    /**
     * Reads an adapter and lets it answer under a name. Where memory is short, those that have not
     * been used for longest make way, and are read again from their folders when asked for.
     *
     * @param folder of a PEFT LoRA adapter, or of a run, whose newest whole checkpoint is taken
     * @throws ConfigException if the name is taken, or the adapter brings new tokens or is larger
     *     than the memory of adapters
     * @throws org.qlora4j.error.FormatException if files are missing or damaged, or belong to
     *     another model
     * @throws BusyException if adapters in use leave no room, or the service is about to end
     */
    public void load(String name, Path folder) {
        given(folder, "folder");
        given(name, "name");
        requireOpen();
        adapters.load(name, folder);
    }

    /**
     * Lets an adapter answer no more requests; those under way end with it.
     *
     * @throws ConfigException if there is none of that name
     */
    public void drop(String name) {
        adapters.drop(given(name, "name"));
    }

    /** Requests that wait for their turn. */
    public synchronized int waiting() {
        return queue.size();
    }

    /** Answers under way. */
    public int running() {
        return running;
    }

    /** One more than the largest id of a token. */
    public int vocabularySize() {
        return model.vocabularySize();
    }

    /** Numbers of a text's {@linkplain #embed embedding}. */
    public int hiddenSize() {
        return model.shape().facts().hiddenSize();
    }

    /** Positions that prompt and answer may fill: the model's, or what the cache has room for. */
    public int contextLength() {
        return Math.min(model.maxPositions(), size.positions(config.kvCacheBytes(), 0));
    }

    /** Requests that are taken at once, under way and waiting. */
    public int capacity() {
        return config.streams() + config.queue();
    }

    /**
     * The text of the chat template; empty where there is none.
     *
     * @param adapter whose; null for the base model's
     * @throws ConfigException if there is no adapter of that name
     */
    public String chatTemplate(@Nullable String adapter) {
        Served served = acquireIfNamed(adapter);
        try {
            ChatTemplate template = voice(served).template();
            return template == null ? "" : template.text();
        } finally {
            release(served);
        }
    }

    /** Tokens of a text as it stands. */
    public List<Integer> encode(String text) {
        int[] ids = base.tokenizer().encodeToContinue("the text", given(text, "text"));
        List<Integer> out = new ArrayList<>(ids.length);
        for (int id : ids) {
            out.add(id);
        }
        return out;
    }

    /** The text of one token, with U+FFFD where it is no whole character. */
    public String textOf(int id) {
        return base.tokenizer().decode(new int[] {id}, false);
    }

    /** The text of tokens, special ones too. */
    public String textOf(List<Integer> ids) {
        return base.tokenizer().decode(ids.stream().mapToInt(Integer::intValue).toArray(), false);
    }

    private void loop() {
        while (awaitWork()) {
            try {
                Engine.run(this::step);
            } catch (RuntimeException | Error e) {
                LOG.warn("a step of generation failed: {}", e.toString());
                Engine.run(() -> beginAnew(e));
            }
        }
        Engine.run(() -> {
            decoding.close();
            head.close();
        });
    }

    /** Waits for requests; false once there are none and none will come. */
    private synchronized boolean awaitWork() {
        boolean stalled = this.stalled;
        while (stalled || (queue.isEmpty() && running == 0)) {
            if (closing && !stalled) {
                return false;
            }
            try {
                wait(stalled ? PATIENCE_MILLIS : 0);
                stalled = false;
            } catch (InterruptedException e) {
                closing = true; // nobody else has this thread
            }
        }
        return true;
    }

    private synchronized @Nullable AnswerUnderWay peek() {
        return queue.peek();
    }

    private synchronized void remove(AnswerUnderWay answer) {
        queue.remove(answer);
    }

    private void step() {
        boolean held = beginAnswers();
        running = decoding.size();
        if (!decoding.isIdle()) {
            decoding.step();
        }
        underWay.removeIf(AnswerUnderWay::isDone);
        running = decoding.size();
        reused = decoding.reused();
        gaveWay = gaveWayBefore + decoding.gaveWay();
        cacheBytes = decoding.cacheBytes();
        stalled = decoding.isStalled() || (held && decoding.isIdle());
        if (outsider) {
            wake();
        }
    }

    /** Begins answers in their order; whether one is held up by others that use memory. */
    private boolean beginAnswers() {
        while (!outsider && decoding.hasRoom()) {
            AnswerUnderWay answer = peek();
            if (answer == null) {
                return false;
            }
            if (!answer.pin(adapters)) {
                return true;
            }
            remove(answer);
            if (answer.begin(decoding)) {
                underWay.add(answer);
            }
        }
        return outsider;
    }

    private void beginAnew(Throwable failure) {
        long taken = decoding.taken();
        gaveWayBefore += decoding.gaveWay();
        decoding.close();
        decoding = newDecoding();
        decoding.take(taken);
        RuntimeException told =
                failure instanceof RuntimeException e ? e : new IllegalStateException(failure);
        List.copyOf(underWay).forEach(answer -> answer.failed(told));
        underWay.clear();
        running = 0;
    }

    /** Takes no more requests; those taken go on. */
    public synchronized void drain() {
        closing = true;
        notifyAll();
    }

    /** Ends answers under way as cancelled, then frees adapters and memory. */
    @Override
    public void close() {
        drain();
        synchronized (this) {
            queue.forEach(AnswerUnderWay::cancel);
        }
        Engine.run(() -> underWay.forEach(AnswerUnderWay::cancel));
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return;
        }
        adapters.close();
        Reference.reachabilityFence(owner);
    }
}
