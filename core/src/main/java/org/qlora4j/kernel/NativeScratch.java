package org.qlora4j.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Memory outside the Java heap that a thread's kernels use in turn, one for each thread. */
final class NativeScratch {
    private static final int CACHE_LINE = 64;

    private static final ThreadLocal<MemorySegment> ROOM =
            ThreadLocal.withInitial(() -> MemorySegment.NULL);

    private NativeScratch() {}

    /**
     * At least that many bytes from the start of a cache line, with any content; this thread's next
     * call may give the same memory.
     */
    static MemorySegment of(long bytes) {
        MemorySegment room = ROOM.get();
        if (room.byteSize() < bytes) {
            room = Arena.ofAuto().allocate(bytes, CACHE_LINE);
            ROOM.set(room);
        }
        return room;
    }
}
