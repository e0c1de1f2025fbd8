package org.qlora4j.family;

import java.lang.foreign.Arena;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.checkpoint.Bnb4bit;
import org.qlora4j.checkpoint.Checkpoint;
import org.qlora4j.checkpoint.StoredTensor;
import org.qlora4j.model.ConfigFile;
import tools.jackson.databind.node.ObjectNode;

/**
 * Whether head and embeddings of a model are one table. {@code tie_word_embeddings} says so, but
 * the tensors decide: a head that differs from the embeddings is kept, as transformers does, and
 * where there is no head the embeddings serve as one.
 *
 * @param config with the flag as the tensors have it
 * @param notice a line where they contradict the file; else null
 */
record Tying(ConfigFile config, @Nullable String notice) {
    private static final String KEY = "tie_word_embeddings";
    private static final List<String> HEADS = List.of("lm_head.weight", "embed_out.weight");
    private static final List<String> EMBEDDINGS =
            List.of("embed_tokens.weight", "wte.weight", "embed_in.weight");

    /** Compares a config with the tensors that it belongs to. */
    static Tying of(ConfigFile config, Checkpoint checkpoint) {
        String head = endingIn(HEADS, checkpoint);
        String embeddings = endingIn(EMBEDDINGS, checkpoint);
        if (embeddings == null) {
            return new Tying(config, null);
        }
        boolean isSet = config.node(KEY) != null;
        boolean tied = isSet ? config.flag(KEY) : !Families.shape(config).hasOwnHead();
        String flag = (isSet ? "%s" : "not set, which means %s for this family").formatted(tied);
        if (!tied && head == null) {
            return new Tying(
                    with(config, true),
                    "%s: tie_word_embeddings is %s, but the checkpoint has no head; the embeddings (%s) serve as head"
                            .formatted(config.file(), flag, embeddings));
        }
        if (tied && head != null && !same(checkpoint, head, embeddings)) {
            return new Tying(
                    with(config, false),
                    "%s: tie_word_embeddings is %s, but %s differs from %s; both are kept"
                            .formatted(config.file(), flag, head, embeddings));
        }
        return new Tying(config, null);
    }

    private static @Nullable String endingIn(List<String> names, Checkpoint checkpoint) {
        for (String name : names) {
            for (String key : checkpoint.names()) {
                if (key.equals(name) || key.endsWith("." + name)) {
                    return key;
                }
            }
        }
        return null;
    }

    private static boolean same(Checkpoint checkpoint, String head, String embeddings) {
        if (Bnb4bit.besideInt8(checkpoint).has(head)) {
            return false;
        }
        try (Arena arena = Arena.ofConfined()) {
            StoredTensor a = checkpoint.read(head, arena);
            StoredTensor b = checkpoint.read(embeddings, arena);
            return a.type() == b.type() && a.data().mismatch(b.data()) < 0;
        }
    }

    private static ConfigFile with(ConfigFile config, boolean tied) {
        ObjectNode changed = ((ObjectNode) config.root()).deepCopy();
        changed.put(KEY, tied);
        return new ConfigFile(config.file(), changed);
    }
}
