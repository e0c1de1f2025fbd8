package org.qlora4j;

import static org.qlora4j.error.Require.given;

import java.lang.ref.Reference;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import java.util.WeakHashMap;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;
import org.qlora4j.data.ChatSettings;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.Nearest;
import org.qlora4j.generate.Decoding;
import org.qlora4j.generate.InferenceHead;
import org.qlora4j.generate.MeanHidden;
import org.qlora4j.generate.StopReason;
import org.qlora4j.grammar.JsonGrammar;
import org.qlora4j.grammar.TokenMask;
import org.qlora4j.grammar.TokenVocabulary;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.run.AdapterFolder;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.template.NamedTemplates;
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

    private final LanguageModel owner; // which must not be collected meanwhile
    private final CausalModel model;
    private final InferenceHead head;
    private final Voice base;
    private final ServiceConfig config;
    private final Thread thread = new Thread(this::loop, "qlora4j-service");

    // guarded by this
    private final Map<String, ServedAdapter> adapters = new LinkedHashMap<>();
    private final Map<Tokenizer, TokenVocabulary> vocabularies = new WeakHashMap<>(); // by itself
    private final ArrayDeque<AnswerUnderWay> queue = new ArrayDeque<>();
    private boolean closing;

    // of the engine thread alone
    private final Set<AnswerUnderWay> underWay = new LinkedHashSet<>();
    private Decoding decoding;

    private volatile int running; // answers in the batch
    private volatile long reused;
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

    /** An adapter, the answers that need it, and whether its name was dropped. */
    private static final class ServedAdapter implements AutoCloseable {
        final LoraAdapter weights;
        final Voice voice;
        final boolean ownTokenizer;
        int users;
        boolean dropped;

        ServedAdapter(LoraAdapter weights, Voice voice, boolean ownTokenizer) {
            this.weights = weights;
            this.voice = voice;
            this.ownTokenizer = ownTokenizer;
        }

        @Override
        public void close() {
            Engine.run(weights::close);
            if (ownTokenizer) {
                voice.tokenizer().close();
            }
        }
    }

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
        this.config = config;
        this.decoding = Engine.call(this::newDecoding);
        thread.setDaemon(true);
        thread.start();
    }

    private Decoding newDecoding() {
        return new Decoding(
                model, head, Decoding.Manner.shared(config.streams(), config.promptPositions()));
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
     *     or a chat without a template
     * @throws org.qlora4j.error.FormatException if the template refuses the chat, or an id is none
     *     of the model's
     */
    public Ticket submit(TextRequest request, TextListener listener) {
        given(request, "request");
        given(listener, "listener");
        ServedAdapter served = acquireIfNamed(request.adapter());
        try {
            Voice voice = voice(served);
            int[] ids = voice.ids("the prompt", request.prompt());
            Decoding.Request prompt =
                    new Decoding.Request(
                            ids,
                            request.config(),
                            served == null ? null : served.weights,
                            mask(voice, request.grammar()),
                            token -> null);
            Decoding.check(model, prompt);
            AnswerUnderWay answer =
                    new AnswerUnderWay(
                            prompt,
                            voice.tokenizer(),
                            model.eosIds(),
                            listener,
                            ended -> {
                                count(ended);
                                release(served);
                            });
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
        ServedAdapter served = acquireIfNamed(adapter);
        try {
            Voice voice = voice(served);
            int[] ids = voice.ids("the text", prompt);
            LoraAdapter weights = served == null ? null : served.weights;
            requireOpen();
            MeanHidden mean = Engine.open(() -> new MeanHidden(model, ids, weights));
            try {
                while (!mean.isDone()) { // others compute between pieces
                    Engine.run(() -> mean.read(config.promptPositions()));
                }
                return new Embedded(mean.mean(), ids.length);
            } finally {
                Engine.run(mean::close);
            }
        } finally {
            release(served);
        }
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

    private Voice voice(@Nullable ServedAdapter served) {
        return served == null ? base : served.voice;
    }

    private @Nullable ServedAdapter acquireIfNamed(@Nullable String name) {
        return name == null ? null : acquire(name);
    }

    private synchronized ServedAdapter acquire(String name) {
        ServedAdapter served = adapters.get(name);
        if (served == null) {
            String nearest = Nearest.of(name, new TreeSet<>(adapters.keySet()));
            throw ConfigException.of(
                    "there is no adapter %s%s",
                    name, nearest == null ? "" : "; did you mean " + nearest + "?");
        }
        served.users++;
        return served;
    }

    private void release(@Nullable ServedAdapter served) {
        if (served == null) {
            return;
        }
        boolean last;
        synchronized (this) {
            served.users--;
            last = served.dropped && served.users == 0;
        }
        if (last) {
            served.close();
        }
    }

    /** Names of the adapters, in the order in which they were loaded. */
    public synchronized List<String> adapters() {
        return List.copyOf(adapters.keySet());
    }

    /**
     * Reads an adapter and lets it answer under a name.
     *
     * @param folder of a PEFT LoRA adapter, or of a run, whose newest whole checkpoint is taken
     * @throws ConfigException if the name is taken, or the adapter brings new tokens
     * @throws org.qlora4j.error.FormatException if files are missing or damaged, or belong to
     *     another model
     */
    public void load(String name, Path folder) {
        given(folder, "folder");
        if (adapters().contains(given(name, "name"))) {
            throw ConfigException.of("there is an adapter %s already; drop it first", name);
        }
        ServedAdapter served = Engine.open(() -> read(name, AdapterFolder.of(folder)));
        boolean taken;
        synchronized (this) {
            taken = closing || adapters.putIfAbsent(name, served) != null;
        }
        if (taken) {
            served.close();
            throw ConfigException.of("there is an adapter %s already; drop it first", name);
        }
    }

    /** Reads an adapter, on the engine thread; nothing is left of one that cannot be read. */
    private ServedAdapter read(String name, AdapterFolder files) {
        Tokenizer own = files.tokenizer();
        try {
            requireSameTables(name, files.files());
            Voice voice = voice(name, files, own);
            LoraAdapter weights =
                    PeftAdapter.read(
                            files.files(), model.linears(), model.parameters(), model.compute());
            return new ServedAdapter(weights, voice, own != null);
        } catch (RuntimeException | Error e) {
            if (own != null) {
                own.close();
            }
            throw e;
        }
    }

    private void requireSameTables(String name, Path files) {
        OptionalInt rows = PeftAdapter.tableRows(files);
        if (rows.isPresent() && rows.getAsInt() != model.vocabularySize()) {
            throw ConfigException.of(
                    "adapter %s brings tables of %d tokens, the model has %d; adapters with new tokens"
                            + " cannot share a base, merge it or serve it alone",
                    name, rows.getAsInt(), model.vocabularySize());
        }
    }

    private Voice voice(String name, AdapterFolder files, @Nullable Tokenizer own) {
        Tokenizer tokenizer = own == null ? base.tokenizer() : own;
        ChatTemplate template = base.template();
        if (own != null || !files.chatTemplate().equals(NamedTemplates.OF_TOKENIZER)) {
            try {
                tokenizer.useChatTemplate(files.chatTemplate());
                template = tokenizer.chatTemplate().orElse(null);
            } finally {
                if (own == null) {
                    tokenizer.useChatTemplate(NamedTemplates.OF_TOKENIZER);
                }
            }
        }
        // what was said of the base's chats counts for all who answer over it
        ChatSettings told = base.chats();
        ChatSettings itsOwn = files.chats().with(told.variables());
        return new Voice(
                name, tokenizer, template, told.sanitizes() ? itsOwn.sanitizing(true) : itsOwn);
    }

    /**
     * Lets an adapter answer no more requests; those under way end with it.
     *
     * @throws ConfigException if there is none of that name
     */
    public void drop(String name) {
        ServedAdapter served = acquire(given(name, "name"));
        synchronized (this) {
            served.dropped = adapters.remove(name) == served || served.dropped;
        }
        release(served);
    }

    /** Requests that wait. */
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

    /** Positions that prompt and answer may fill. */
    public int contextLength() {
        return model.maxPositions();
    }

    /**
     * The text of the chat template; empty where there is none.
     *
     * @param adapter whose; null for the base model's
     * @throws ConfigException if there is no adapter of that name
     */
    public String chatTemplate(@Nullable String adapter) {
        ServedAdapter served = acquireIfNamed(adapter);
        try {
            ChatTemplate template = voice(served).template();
            return template == null ? "" : template.text();
        } finally {
            release(served);
        }
    }

    /** Tokens of a text as it stands. */
    public List<Integer> encode(String text) {
        int[] ids = base.ids("the text", new Prompt.Raw(given(text, "text")));
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
        while (queue.isEmpty() && running == 0) {
            if (closing) {
                return false;
            }
            try {
                wait();
            } catch (InterruptedException e) {
                closing = true; // nobody else has this thread
            }
        }
        return true;
    }

    private synchronized @Nullable AnswerUnderWay poll() {
        return queue.poll();
    }

    private void step() {
        while (decoding.hasRoom()) {
            AnswerUnderWay answer = poll();
            if (answer == null) {
                break;
            }
            if (answer.begin(decoding)) {
                underWay.add(answer);
            }
        }
        running = decoding.size();
        if (!decoding.isIdle()) {
            decoding.step();
        }
        underWay.removeIf(AnswerUnderWay::isDone);
        running = decoding.size();
        reused = decoding.reused();
    }

    private void beginAnew(Throwable failure) {
        decoding.close();
        decoding = newDecoding();
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
        adapters().forEach(this::drop);
        Reference.reachabilityFence(owner);
    }
}
