package org.qlora4j.checkpoint;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/** Takes named tensors that are to be written, as one file or as several. */
public interface TensorWriter {
    /** Gives the bytes of one tensor, in parts of any size, in order. */
    @FunctionalInterface
    interface Source {
        void copyTo(Sink sink) throws IOException;
    }

    /** Takes the next bytes of a tensor; the segment may be reused as soon as the call returns. */
    @FunctionalInterface
    interface Sink {
        void accept(MemorySegment part) throws IOException;
    }

    /**
     * Adds a tensor whose bytes are made when they are written.
     *
     * @param source called once when the tensor is written; must give exactly the bytes that type
     *     and shape take
     */
    TensorWriter add(String name, StoredType type, long[] shape, Source source);

    /** Adds a tensor whose bytes are at hand; they are read when it is written, not before. */
    default TensorWriter add(String name, StoredType type, long[] shape, MemorySegment data) {
        return add(name, type, shape, sink -> sink.accept(data));
    }
}
