package org.qlora4j.world;

import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tensor.SharedStore;

/**
 * Signs of life. Each process counts up a number in the store; process 0 watches all numbers, the
 * others that of process 0. Whoever fails leaves its reason in the store, where all find it.
 */
final class Heartbeat implements AutoCloseable {
    private static final String REASON = "reason";
    private static final String ALARM = "alarm";
    private static final String SEEN = "seen";
    private static final long SHORTEST = TimeUnit.MILLISECONDS.toNanos(50);
    private static final long LONGEST = TimeUnit.SECONDS.toNanos(2);

    /** Beats that a process may miss once another one has lost a connection. */
    private static final int MISSED = 3;

    private final SharedStore store;
    private final int rank;
    private final int size;
    private final long silence;
    private final long interval;
    private final Thread thread;
    private final Patience ownRounds = new Patience();
    private long roundsSeen;
    private boolean seen;

    private volatile long rounds;
    private volatile boolean allSeen;
    private volatile @Nullable String failure;
    private volatile @Nullable String toTell;
    private volatile boolean told;
    private volatile boolean alarmed;
    private volatile boolean closing;

    /**
     * Begins to beat.
     *
     * @param store used by nothing else; closed with this
     * @param silence how long a process may miss
     */
    Heartbeat(SharedStore store, int rank, int size, Duration silence) {
        this.store = store;
        this.rank = rank;
        this.size = size;
        this.silence = silence.toNanos();
        this.interval = Math.clamp(this.silence / 20, SHORTEST, LONGEST);
        this.thread = Thread.ofPlatform().daemon().name("qlora4j-heartbeat").start(this::beat);
    }

    private void beat() {
        Map<Integer, Watched> watched = new TreeMap<>();
        for (int peer = rank == 0 ? 1 : 0; peer < (rank == 0 ? size : 1); peer++) {
            watched.put(peer, new Watched());
        }
        try {
            while (!closing) {
                round(watched);
                rounds++;
                LockSupport.parkNanos(interval);
            }
        } catch (RuntimeException e) { // libtorch's: the store is gone
            if (!closing && failure == null) {
                failure = "process 0 of %d is gone".formatted(size);
            }
        } finally {
            store.close();
        }
    }

    /** The last number of a process, and since when. */
    private static final class Watched {
        String beat = "";
        final Patience patience = new Patience();
    }

    private void round(Map<Integer, Watched> watched) {
        store.set("beat/" + rank, String.valueOf(rounds));
        String telling = toTell;
        if (telling != null && !told) {
            store.setIfAbsent(REASON, telling);
            told = true;
        }
        String reason = store.get(REASON);
        if (reason != null && failure == null) {
            failure = reason;
        }
        if (failure != null && !allSeen) {
            allSeen = store.add(SEEN, seen ? 0 : 1) >= size;
            seen = true;
        }
        if (alarmed && rank != 0) {
            store.setIfAbsent(ALARM, "yes");
        } else if (rank == 0 && store.get(ALARM) != null) {
            alarmed = true;
        }
        watched.forEach(this::watch);
    }

    private void watch(int peer, Watched state) {
        String beat = store.get("beat/" + peer);
        if (beat != null && !beat.equals(state.beat)) {
            state.beat = beat;
            state.patience.reset();
            return;
        }
        long waited = state.patience.waited();
        boolean gone = alarmed && waited > MISSED * interval;
        if (failure == null && (gone || waited > silence)) {
            String reason = gone ? "process %d of %d is gone".formatted(peer, size) : silent(peer);
            failure = reason;
            if (rank == 0) {
                store.setIfAbsent(REASON, reason);
            }
        }
    }

    private String silent(int peer) {
        return "process %d of %d gives no sign of life for %s s"
                .formatted(peer, size, Math.round(silence / 1e9));
    }

    /** Why the run cannot go on; null while it can. For the one thread that waits for others. */
    @Nullable String failure() {
        if (rounds != roundsSeen) {
            roundsSeen = rounds;
            ownRounds.reset();
        } else if (ownRounds.waited() > silence && failure == null) {
            failure = silent(0); // which serves the store that the beat waits for
        }
        return failure;
    }

    /** Finds out who is gone, after a connection was lost; what is said if nobody knows. */
    String whoIsGone(String otherwise) {
        alarmed = true;
        LockSupport.unpark(thread);
        long end = System.nanoTime() + 2 * MISSED * interval + TimeUnit.SECONDS.toNanos(1);
        while (failure() == null && System.nanoTime() < end) {
            LockSupport.parkNanos(SHORTEST / 5);
        }
        String found = failure;
        return found == null ? otherwise : found;
    }

    /** Tells the others why this process ends; waits until they know, but not long. */
    void tell(String reason) {
        if (failure != null) {
            return;
        }
        toTell = reason;
        LockSupport.unpark(thread);
        long end = System.nanoTime() + 2 * interval + TimeUnit.SECONDS.toNanos(1);
        while (!told && thread.isAlive() && System.nanoTime() < end) {
            LockSupport.parkNanos(SHORTEST / 5);
        }
    }

    /**
     * Ends the beat. Process 0, which serves the store, waits a little until the others have read
     * there why the run ended, if it has failed.
     */
    @Override
    public void close() {
        long end = System.nanoTime() + 2 * interval;
        while (rank == 0
                && (failure != null || told)
                && !allSeen
                && thread.isAlive()
                && System.nanoTime() < end) {
            LockSupport.parkNanos(SHORTEST / 5);
        }
        closing = true;
        LockSupport.unpark(thread);
        try {
            thread.join(Duration.ofMillis(200)); // a stopped process 0 may hold it
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
