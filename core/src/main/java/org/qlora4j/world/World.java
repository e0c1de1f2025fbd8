package org.qlora4j.world;

import java.time.Duration;
import java.util.Map;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.DeviceException;
import org.qlora4j.tensor.Tensor;

/**
 * The processes of a run, of which this is one. Every process calls the same methods in the same
 * order, but for what one sends to another; each call waits until all have made it. A call throws
 * {@link DeviceException} with one line once another process has failed, is gone, or gives no sign
 * of life.
 */
public interface World extends AutoCloseable {
    /** A run of one process: sums are what they were, and all agree. */
    World ALONE = new Alone();

    /**
     * Meets the other processes.
     *
     * @param silence how long a process may give no sign of life
     * @throws ConfigException if the processes were not started alike
     * @throws DeviceException if some do not come
     */
    static World join(Membership membership, Duration silence) {
        return membership.size() == 1 ? ALONE : Peers.join(membership, silence, Peers.COMING);
    }

    /** Number of this process, from 0. */
    int rank();

    /** Number of processes. */
    int size();

    /** Whether this is process 0, which alone writes files and speaks. */
    default boolean isFirst() {
        return rank() == 0;
    }

    /** Adds up a contiguous tensor over all processes, in place. All get the same bits. */
    void sum(Tensor values);

    /** Sums over all processes; all get the same bits. */
    double[] sum(double... values);

    /**
     * Begins to send a tensor to another process, which {@linkplain #receive receives} it.
     *
     * @param values contiguous; freed here when they have gone
     */
    void send(Tensor values, int rank);

    /**
     * Waits for what another process sends to this one.
     *
     * @param values contiguous, of the shape and dtype of what is sent; takes it
     */
    void receive(Tensor values, int rank);

    /** The number that process 0 has. */
    double fromFirst(double value);

    /** Whether the answer is yes in any process. */
    default boolean any(boolean yes) {
        return sum(yes ? 1 : 0)[0] > 0;
    }

    /**
     * Refuses to go on unless all processes have the same.
     *
     * @param facts what must be the same, by the name that an error calls it
     * @throws ConfigException that names the fact and the process
     */
    void requireSame(Map<String, String> facts);

    /** Bytes that this process sends to add up so many of its own: those of a ring. */
    default long bytesToSum(long bytes) {
        return Math.ceilDiv(2 * (size() - 1) * bytes, size());
    }

    /** Whether this process knows that another one failed or is gone. */
    boolean isBroken();

    /** Tells all others why this process ends, so that they end too. */
    void fail(String reason);

    /** Says that this process needs no other any more; waits until all say so. */
    void leave();

    @Override
    void close();
}
