package org.qlora4j;

import static org.qlora4j.error.Require.require;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import org.qlora4j.tensor.NativeMemory;

/**
 * How many requests a {@link TextService} works on, and in how much memory.
 *
 * @param streams answers at once, at least 1; a further request waits
 * @param promptPositions tokens of prompts that are read between two tokens of the answers under
 *     way, at least 1
 * @param queue requests that may wait; a further one is refused
 * @param kvCacheBytes of keys and values of all requests, and of what is kept for prompts that
 *     begin alike; {@link #BY_MACHINE} for half of what is left when the service begins
 * @param adapterBytes of the weights of adapters; {@link #BY_MACHINE} for a quarter of what is left
 */
public record ServiceConfig(
        int streams, int promptPositions, int queue, long kvCacheBytes, long adapterBytes) {
    /** A bound that follows the machine's memory. */
    public static final long BY_MACHINE = 0;

    public static final ServiceConfig DEFAULT = new ServiceConfig(8, 256, 64);

    /** The least of a bound by the machine. */
    private static final long LEAST = 64L << 20;

    public ServiceConfig {
        require(streams >= 1 && streams <= 1024, "streams must be from 1 to 1024, got %d", streams);
        require(
                promptPositions >= 1,
                "prompt positions between two tokens must be at least 1, got %d",
                promptPositions);
        require(queue >= 0, "queue must be at least 0, got %d", queue);
        require(
                kvCacheBytes >= 0,
                "the memory of the key-value cache must be at least 0, got %d",
                kvCacheBytes);
        require(
                adapterBytes >= 0,
                "the memory of adapters must be at least 0, got %d",
                adapterBytes);
    }

    /** With bounds of memory that follow the machine. */
    public ServiceConfig(int streams, int promptPositions, int queue) {
        this(streams, promptPositions, queue, BY_MACHINE, BY_MACHINE);
    }

    /** With other bounds of memory. */
    public ServiceConfig withMemory(long newKvCacheBytes, long newAdapterBytes) {
        return new ServiceConfig(streams, promptPositions, queue, newKvCacheBytes, newAdapterBytes);
    }

    /** With bounds in bytes in place of those by the machine, as it is now. */
    ServiceConfig here() {
        long left = left();
        return withMemory(
                kvCacheBytes == BY_MACHINE ? Math.max(LEAST, left / 2) : kvCacheBytes,
                adapterBytes == BY_MACHINE ? Math.max(LEAST, left / 4) : adapterBytes);
    }

    /** Bytes of this machine beside the largest heap and all tensors that there are. */
    private static long left() {
        if (ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system) {
            return system.getTotalMemorySize()
                    - Runtime.getRuntime().maxMemory()
                    - NativeMemory.liveBytes();
        }
        return 0;
    }
}
