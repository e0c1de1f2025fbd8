package org.qlora4j;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeSet;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.qlora4j.data.ChatSettings;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Nearest;
import org.qlora4j.error.UserException;
import org.qlora4j.lora.LoraAdapter;
import org.qlora4j.lora.PeftAdapter;
import org.qlora4j.model.CausalModel;
import org.qlora4j.run.AdapterFolder;
import org.qlora4j.template.ChatTemplate;
import org.qlora4j.template.NamedTemplates;
import org.qlora4j.tensor.Engine;
import org.qlora4j.tensor.NativeMemory;
import org.qlora4j.tokenize.Tokenizer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Adapters by name over one base. The weights of those that no answer under way uses may be freed
 * for others, least recently used first, and are read again from their folder. What an adapter is
 * spoken to by, its template and tokenizer, stays.
 */
final class ServedAdapters {
    private static final Logger LOG = LoggerFactory.getLogger(ServedAdapters.class);

    private final CausalModel model;
    private final Voice base;
    private final long most;
    private final Consumer<LoraAdapter> beforeFree;

    // guarded by this; weights come and go on the engine thread alone
    private final Map<String, Served> byName = new LinkedHashMap<>();
    private long bytes;
    private long clock;
    private long evicted;

    private boolean closed; // of the engine thread alone

    /** An adapter, those that need it, and where it is read from. */
    static final class Served {
        private final String name;
        private final Path files;
        private final FileTime changed;
        private final Voice voice;
        private final boolean ownTokenizer;
        private @Nullable LoraAdapter weights;
        private long bytes; // that the weights take when they are there
        private int users; // requests, those that wait too
        private int computing;
        private long lastUse;
        private boolean dropped;

        Served(String name, Path files, FileTime changed, Voice voice, boolean ownTokenizer) {
            this.name = name;
            this.files = files;
            this.changed = changed;
            this.voice = voice;
            this.ownTokenizer = ownTokenizer;
        }

        Voice voice() {
            return voice;
        }
    }

    /**
     * @param most bytes of weights
     * @param beforeFree is told on the engine thread of weights that are about to be freed
     */
    ServedAdapters(CausalModel model, Voice base, long most, Consumer<LoraAdapter> beforeFree) {
        this.model = model;
        this.base = base;
        this.most = most;
        this.beforeFree = beforeFree;
    }

    /** Names, in the order in which they were loaded. */
    synchronized List<String> names() {
        return List.copyOf(byName.keySet());
    }

    /** What there is, in the order in which it was loaded. */
    synchronized List<TextService.AdapterState> states() {
        List<TextService.AdapterState> out = new ArrayList<>();
        byName.forEach((name, served) ->
                out.add(new TextService.AdapterState(name, served.bytes, served.weights != null)));
        return out;
    }

    /** Bytes of weights that are there. */
    synchronized long bytes() {
        return bytes;
    }

    /** Times that weights were freed for others. */
    synchronized long evicted() {
        return evicted;
    }

    /**
     * An adapter that stays until {@link #release}, though perhaps without weights.
     *
     * @throws ConfigException if there is none of that name
     */
    synchronized Served acquire(String name) {
        Served served = byName.get(name);
        if (served == null) {
            String nearest = Nearest.of(name, new TreeSet<>(byName.keySet()));
            throw ConfigException.of(
                    "there is no adapter %s%s",
                    name, nearest == null ? "" : "; did you mean " + nearest + "?");
        }
        served.users++;
        return served;
    }

    void release(Served served) {
        boolean last;
        synchronized (this) {
            served.users--;
            last = served.dropped && served.users == 0;
        }
        if (last) {
            close(served);
        }
    }

    private void close(Served served) {
        Engine.run(() -> free(served));
        if (served.ownTokenizer) {
            served.voice.tokenizer().close();
        }
    }

    /**
     * Has the weights of an adapter stay until {@link #unpin}; reads them if need be. On the engine
     * thread.
     *
     * @return the weights; null if there is no room now, since all others are in use
     * @throws FormatException if they cannot be read again
     */
    @Nullable LoraAdapter pin(Served served) {
        if (served.weights == null && !makeRoom(served.bytes, served.name)) {
            return null;
        }
        if (served.weights == null) {
            try {
                requireUnchanged(served);
                read(served);
            } catch (UserException e) {
                throw FormatException.of(
                        "adapter %s was evicted from memory and cannot be read again: %s",
                        served.name, e.getMessage());
            }
        }
        synchronized (this) {
            served.computing++;
            served.lastUse = ++clock;
            return served.weights;
        }
    }

    synchronized void unpin(Served served) {
        served.computing--;
    }

    private static void requireUnchanged(Served served) {
        if (!changed(served.files).equals(served.changed)) {
            throw FormatException.of(
                    "%s has changed since; drop the adapter and load it anew", served.files);
        }
    }

    private static FileTime changed(Path files) {
        Path weights = PeftAdapter.file(files);
        try {
            return Files.getLastModifiedTime(weights);
        } catch (IOException e) {
            throw FormatException.of("%s cannot be read: %s", weights, e.toString());
        }
    }

    /** Frees what has been used least recently until so many bytes fit; whether they do. */
    private boolean makeRoom(long wanted, String name) {
        while (bytes() + wanted > most) {
            Served oldest = oldest();
            if (oldest == null) {
                return false;
            }
            synchronized (this) {
                evicted++;
            }
            String line =
                    "adapter {} ({} MiB, the least recently used) was evicted from memory to make room for {};"
                            + " the next request for it reads it again";
            if (evicted() == 1) { // it will often come again
                LOG.warn(line, oldest.name, oldest.bytes >> 20, name);
            } else {
                LOG.info(line, oldest.name, oldest.bytes >> 20, name);
            }
            free(oldest);
        }
        return true;
    }

    private synchronized @Nullable Served oldest() {
        Served oldest = null;
        for (Served served : byName.values()) {
            if (served.weights != null
                    && served.computing == 0
                    && (oldest == null || served.lastUse < oldest.lastUse)) {
                oldest = served;
            }
        }
        return oldest;
    }

    /** Frees an adapter's weights, if they are there. On the engine thread. */
    private void free(Served served) {
        LoraAdapter weights = served.weights;
        if (weights != null) {
            beforeFree.accept(weights);
            weights.close();
            synchronized (this) {
                served.weights = null;
                bytes -= served.bytes;
            }
        }
    }

    /**
     * Reads an adapter and lets it answer under a name.
     *
     * @throws ConfigException if the name is taken, or the adapter brings new tokens or is larger
     *     than adapters may be
     * @throws FormatException if files are missing or damaged, or belong to another model
     * @throws BusyException if adapters in use leave no room
     */
    void load(String name, Path folder) {
        requireFree(name);
        Engine.run(() -> {
            requireFree(name);
            if (closed) {
                throw new BusyException("the service is about to end");
            }
            AdapterFolder files = AdapterFolder.of(folder);
            Tokenizer own = files.tokenizer();
            try {
                requireSameTables(name, files.files());
                Voice voice = voice(name, files, own);
                Served served =
                        new Served(name, files.files(), changed(files.files()), voice, own != null);
                served.bytes = PeftAdapter.bytes(files.files(), model.compute());
                requireFits(served);
                if (!makeRoom(served.bytes, name)) {
                    throw new BusyException(
                            "adapters in use leave no room for a further one; try again later");
                }
                read(served);
                synchronized (this) {
                    byName.put(name, served);
                }
            } catch (RuntimeException | Error e) {
                if (own != null) {
                    own.close();
                }
                throw e;
            }
        });
    }

    private void requireFree(String name) {
        if (names().contains(name)) {
            throw ConfigException.of("there is an adapter %s already; drop it first", name);
        }
    }

    private void requireFits(Served served) {
        if (served.bytes > most) {
            throw ConfigException.of(
                    "adapter %s takes %d bytes, adapters may take %d together; give them more memory",
                    served.name, served.bytes, most);
        }
    }

    private void read(Served served) {
        long before = NativeMemory.liveBytes(); // all tensors are made on this thread
        LoraAdapter weights =
                PeftAdapter.read(
                        served.files, model.linears(), model.parameters(), model.compute());
        synchronized (this) {
            served.weights = weights;
            served.bytes = NativeMemory.liveBytes() - before;
            served.lastUse = ++clock;
            bytes += served.bytes;
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
                name,
                tokenizer,
                base.context(),
                template,
                told.sanitizes() ? itsOwn.sanitizing(true) : itsOwn);
    }

    /** Drops all adapters; no further one can be loaded. */
    void close() {
        Engine.run(() -> closed = true); // a load under way ends before
        names().forEach(this::drop);
    }

    /**
     * Lets an adapter answer no more requests; those under way end with it.
     *
     * @throws ConfigException if there is none of that name
     */
    void drop(String name) {
        Served served = acquire(name);
        synchronized (this) {
            served.dropped = byName.remove(name) == served || served.dropped;
        }
        release(served);
    }
}
