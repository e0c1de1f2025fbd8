package org.qlora4j.generate;

import java.util.function.IntPredicate;

/**
 * The bound of a cache: who asks for room gets it if what is kept of texts that have ended can make
 * way. That which has been of no use for longest goes first.
 */
final class CacheRoom {
    private final KeyValueCache cache;
    private final PrefixRows prefixes;
    private final CacheSize size;
    private final long most;
    private long outside;

    /**
     * @param most bytes of the cache, and of what is taken beside it
     */
    CacheRoom(KeyValueCache cache, PrefixRows prefixes, CacheSize size, long most) {
        this.cache = cache;
        this.prefixes = prefixes;
        this.size = size;
        this.most = most;
    }

    /** Bytes that the cache and others have. */
    long bytes() {
        return cache.bytes() + outside;
    }

    /** Bytes taken beside the cache. */
    long outside() {
        return outside;
    }

    /**
     * Gives a row room for so many positions.
     *
     * @param last positions that its text fills at most
     * @param beside further bytes that must stay free
     * @param kept whether a row holds nothing but what is kept, which may be freed
     * @return whether there was room
     */
    boolean grow(int row, int positions, int last, long beside, IntPredicate kept) {
        while (true) {
            long wanted = cache.growth(row, positions, last, size);
            if (fits(wanted + beside)) {
                cache.reserve(row, positions, last);
                return true;
            }
            if (!dropOldest(kept)) {
                return false;
            }
        }
    }

    /** Takes bytes for what lies beside the cache; whether there was room. */
    boolean take(long bytes, IntPredicate kept) {
        while (!fits(bytes)) {
            if (!dropOldest(kept)) {
                return false;
            }
        }
        outside += bytes;
        return true;
    }

    /** Gives back what was taken. */
    void give(long bytes) {
        outside -= bytes;
    }

    private boolean fits(long bytes) {
        return bytes() + bytes <= most;
    }

    private boolean dropOldest(IntPredicate kept) {
        int row = prefixes.oldest(kept);
        if (row < 0) {
            return false;
        }
        prefixes.forget(row);
        cache.drop(row);
        return true;
    }
}
