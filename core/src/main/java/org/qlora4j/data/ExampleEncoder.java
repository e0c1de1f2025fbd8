package org.qlora4j.data;

import java.util.Arrays;
import java.util.List;

/** Makes examples of records; one implementation for source and target, one for chats. */
sealed interface ExampleEncoder permits SourceTargetEncoder, ChatEncoder {
    /**
     * The examples of a record, nearly always one; a {@code FormatException} naming file and line
     * if it has a fault.
     */
    List<Example> encode(Row row);

    /** The first {@code limit} ids. */
    static int[] cut(int[] ids, int limit) {
        return ids.length <= limit ? ids : Arrays.copyOf(ids, limit);
    }
}
