package org.qlora4j.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Memory outside the Java heap that a thread's kernels use in turn, one for each thread. */
final class NativeScratch {
    private static final int CACHE_LINE = 64;

    private static final ThreadLocal<MemorySegment> ROOM =
            ThreadLocal.withInitial(() -> MemorySegment.NULL);

    private static final ThreadLocal<MemorySegment> TASK_ROOM =
            ThreadLocal.withInitial(() -> MemorySegment.NULL);

    private NativeScratch() {}

    /**
     * At least that many bytes from the start of a cache line, with any content; this thread's next
     * call may give the same memory.
     */
    static MemorySegment of(long bytes) {
        return of(ROOM, bytes);
    }

    /** The same for a task of {@link Workers}, whose caller holds what {@link #of} gave. */
    static MemorySegment ofTask(long bytes) {
        return of(TASK_ROOM, bytes);
    }

    private static MemorySegment of(ThreadLocal<MemorySegment> held, long bytes) {
        MemorySegment room = held.get();
        if (room.byteSize() < bytes) {
            room = Arena.ofAuto().allocate(bytes, CACHE_LINE);
            held.set(room);
        }
        return room;
    }
}
