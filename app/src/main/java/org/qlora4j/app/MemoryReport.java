package org.qlora4j.app;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.List;

/** Memory of {@code qlora doctor}: of the machine (or its container) and of the Java heap. */
final class MemoryReport {
    private MemoryReport() {}

    static List<Report> lines() {
        long heap = Runtime.getRuntime().maxMemory();
        return List.of(
                new Report("memory", machine()),
                new Report("Java heap", "at most " + ByteSize.text(heap) + "; set by QLORA_HEAP"));
    }

    private static String machine() {
        return ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system
                ? "%s, %s free"
                        .formatted(
                                ByteSize.text(system.getTotalMemorySize()),
                                ByteSize.text(system.getFreeMemorySize()))
                : "unknown on this JVM";
    }
}
