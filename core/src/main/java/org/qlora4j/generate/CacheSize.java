package org.qlora4j.generate;

import org.qlora4j.error.ConfigException;
import org.qlora4j.model.CausalModel;
import org.qlora4j.model.ModelFacts;

/**
 * Bytes of keys and values that texts of a model take in a {@link KeyValueCache}.
 *
 * @param position of one position, in all layers
 * @param moving of one position that a growing row holds twice for a while, of keys or values of
 *     one layer
 * @param source of one position of what an encoder reads
 */
public record CacheSize(long position, long moving, long source) {
    /** Positions below which nobody could ask anything. */
    private static final int LEAST = 16;

    public static CacheSize of(CausalModel model) {
        ModelFacts facts = model.shape().facts();
        long width = model.compute().bytes();
        long moving = width * facts.kvHeads() * facts.headDim();
        long position = 2L * facts.layers() * moving;
        return new CacheSize(position, moving, position + width * facts.hiddenSize());
    }

    /**
     * Positions that a text can fill in so many bytes while no other has any.
     *
     * @param sourceTokens that it answers; 0 where there is no encoder
     */
    public int positions(long bytes, int sourceTokens) {
        long free = bytes - sourceTokens * source;
        long fit = Math.max(0, free) / (position + moving);
        int most = Integer.MAX_VALUE - LEAST;
        return (int) Math.min(fit, most) / LEAST * LEAST;
    }

    /**
     * Refuses a cache that holds no text to speak of.
     *
     * @throws ConfigException that says how many bytes are needed
     */
    public void requireSome(long bytes) {
        if (positions(bytes, 0) == 0) {
            throw ConfigException.of(
                    "a key-value cache of %d bytes holds no %d positions of this model; give it at least %d",
                    bytes, LEAST, LEAST * (position + moving));
        }
    }

    /** Bytes of a text of so many positions that is read into a cache of its own. */
    public long alone(int positions) {
        return (long) KeyValueRows.whole(positions) * (position + moving);
    }
}
