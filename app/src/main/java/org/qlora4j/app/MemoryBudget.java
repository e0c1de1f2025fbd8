package org.qlora4j.app;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.qlora4j.TextService;
import org.qlora4j.error.ConfigException;
import org.qlora4j.plan.MemoryPlan;
import org.qlora4j.tensor.NativeMemory;

/**
 * Memory that a plan is held against.
 *
 * @param name as messages call it
 * @param bytes of it
 * @param taken by what is no tensor: on the CPU the Java heap and libtorch's code, on a GPU its
 *     context and the workspaces of libraries
 * @param machine what computes in it
 */
record MemoryBudget(String name, long bytes, long taken, MemoryPlan.Machine machine) {
    private static final Pattern SIZE = Pattern.compile("([1-9][0-9]{0,4})(?i:gi?b)");
    private static final long GIB = 1L << 30;

    /** Code and threads of JVM and libtorch, beside the heap: as measured with small models. */
    private static final long PROCESS = 450L << 20;

    /** {@code cpu}, or the size of a GPU such as {@code 24GB}, counted as makers do: in GiB. */
    static MemoryBudget of(String device) {
        if (device.toLowerCase(Locale.ROOT).equals("cpu")) {
            if (ManagementFactory.getOperatingSystemMXBean()
                    instanceof OperatingSystemMXBean system) {
                long heap = Runtime.getRuntime().maxMemory();
                return new MemoryBudget(
                        "this machine",
                        system.getTotalMemorySize(),
                        heap + PROCESS,
                        MemoryPlan.Machine.here());
            }
            throw new ConfigException(
                    "--device cpu: this JVM does not say how much memory there is; give a size,"
                            + " such as 16GB");
        }
        Matcher size = SIZE.matcher(device);
        if (!size.matches()) {
            throw ConfigException.of(
                    "--device must be cpu or the memory of a GPU such as 24GB, got %s", device);
        }
        return new MemoryBudget(
                "a GPU of " + size.group(1) + " GiB",
                Long.parseLong(size.group(1)) * GIB,
                GIB,
                MemoryPlan.Machine.GPU);
    }

    /**
     * What the tensors of a run may take in a process beside this one, which serves: all but two
     * processes with their heaps, this one's tensors, and what its bounds let these grow by.
     */
    static long beside(TextService.Memory memory) {
        MemoryBudget machine = of("cpu");
        long growth =
                memory.kvCacheLimit()
                        - memory.kvCacheBytes()
                        + memory.adapterLimit()
                        - memory.adapterBytes();
        return Math.max(
                0, machine.free() - machine.taken - NativeMemory.liveBytes() - Math.max(0, growth));
    }

    /** What tensors may take. */
    long free() {
        return Math.max(0, bytes - taken);
    }
}
