package org.qlora4j.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;

/**
 * One tensor of a file.
 *
 * @param name key in the checkpoint, e.g. {@code model.layers.0.self_attn.q_proj.weight}
 * @param type type of the elements
 * @param shape dimensions, slowest first; empty for a scalar. Not to be written to
 * @param data elements, little-endian, in C order, at any alignment. Valid until the reader or the
 *     arena it was read into is closed; read-only where it is a view of the file
 * @param file the file it comes from, for messages
 */
@SuppressWarnings(
        "ArrayRecordComponent") // never compared, and a copy per access would serve nobody
public record StoredTensor(
        String name, StoredType type, long[] shape, MemorySegment data, Path file) {
    /**
     * Lets the system take back the memory of a view of a file. Read pages count as the process's
     * own; they are read anew if need be.
     */
    public void unload() {
        unload(data);
    }

    /** {@link #unload()} of a part. */
    public static void unload(MemorySegment data) {
        if (data.isMapped()) {
            data.unload();
        }
    }
}
