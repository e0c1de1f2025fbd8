package org.qlora4j.app;

import java.lang.management.ManagementFactory;
import java.lang.management.MemoryUsage;

/**
 * What the JVM itself takes now; tensors lie beside it, and so do libtorch's code and the stacks of
 * threads, which no bean knows.
 *
 * @param heapUsed bytes of Java objects, dead ones not yet collected included
 * @param heap bytes of heap taken from the system
 * @param code bytes of classes and compiled code: metaspace and code cache
 */
record JvmMemory(long heapUsed, long heap, long code) {
    static JvmMemory now() {
        MemoryUsage heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage();
        MemoryUsage other = ManagementFactory.getMemoryMXBean().getNonHeapMemoryUsage();
        return new JvmMemory(heap.getUsed(), heap.getCommitted(), other.getCommitted());
    }
}
