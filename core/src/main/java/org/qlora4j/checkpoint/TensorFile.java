package org.qlora4j.checkpoint;

import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Set;

/** A file of tensors by name. */
interface TensorFile extends AutoCloseable {
    /** The file's path, as given. */
    Path path();

    /** Names of the tensors, in the order in which reading is cheapest. */
    Set<String> names();

    /** Type and shape of a tensor. */
    StoredInfo info(String name);

    /** A tensor, as {@link Checkpoint#read} gives it. */
    StoredTensor read(String name, Arena arena);

    @Override
    void close();
}
