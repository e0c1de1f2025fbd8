package org.qlora4j.checkpoint;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * The head of GPT-NeoX by its one name in files, {@code embed_out}. transformers 5 calls it {@code
 * lm_head} in memory and reads both; where a file holds both, {@code embed_out} counts there and
 * here.
 *
 * @param stored a checkpoint with {@code lm_head} alone
 */
record NeoxHead(Checkpoint stored) implements Checkpoint {
    private static final String IN_FILES = "embed_out.";
    private static final String IN_MEMORY = "lm_head.";
    private static final String FAMILY = "gpt_neox.";

    /** A checkpoint, under the family's names if it is of this family. */
    static Checkpoint named(Checkpoint stored) {
        Set<String> names = stored.names();
        boolean renamed =
                begins(names, FAMILY) && begins(names, IN_MEMORY) && !begins(names, IN_FILES);
        return renamed ? new NeoxHead(stored) : stored;
    }

    private static boolean begins(Set<String> names, String prefix) {
        return names.stream().anyMatch(name -> name.startsWith(prefix));
    }

    private static String exchanged(String name, String from, String to) {
        return name.startsWith(from) ? to + name.substring(from.length()) : name;
    }

    private static String stored(String name) {
        return exchanged(name, IN_FILES, IN_MEMORY);
    }

    @Override
    public Path folder() {
        return stored.folder();
    }

    @Override
    public List<Path> files() {
        return stored.files();
    }

    @Override
    public Set<String> names() {
        Set<String> names = new LinkedHashSet<>();
        stored.names().forEach(name -> names.add(exchanged(name, IN_MEMORY, IN_FILES)));
        return Collections.unmodifiableSet(names);
    }

    @Override
    public boolean has(String name) {
        return !name.startsWith(IN_MEMORY) && stored.has(stored(name));
    }

    @Override
    public StoredInfo info(String name) {
        StoredInfo info = stored.info(stored(name));
        return new StoredInfo(name, info.type(), info.shape());
    }

    @Override
    public StoredTensor read(String name, Arena arena) {
        StoredTensor tensor = stored.read(stored(name), arena);
        return new StoredTensor(name, tensor.type(), tensor.shape(), tensor.data(), tensor.file());
    }

    @Override
    public long bytes() {
        return stored.bytes();
    }

    @Override
    public void close() {
        stored.close();
    }
}
