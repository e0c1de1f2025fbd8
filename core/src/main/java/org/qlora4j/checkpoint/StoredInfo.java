package org.qlora4j.checkpoint;

/**
 * What is known of a tensor before it is read: enough for a memory plan.
 *
 * @param name key in the checkpoint
 * @param type type of the elements as {@link Checkpoint#read} gives them
 * @param shape dimensions, slowest first. Not to be written to
 */
@SuppressWarnings(
        "ArrayRecordComponent") // never compared, and a copy per access would serve nobody
public record StoredInfo(String name, StoredType type, long[] shape) {
    /** Bytes of the elements as {@link Checkpoint#read} gives them. */
    public long bytes() {
        return type.bytesOf(shape);
    }
}
