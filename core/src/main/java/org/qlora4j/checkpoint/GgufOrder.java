package org.qlora4j.checkpoint;

/**
 * How a tensor lies in a GGUF file, beside the same weight in Hugging Face's files (llama.cpp's
 * {@code conversion} scripts).
 */
public sealed interface GgufOrder {
    /** Both alike. */
    record Same() implements GgufOrder {}

    /** Rows i of both halves of a head stand together, as pairs that the rotary embedding turns. */
    record Halves(long heads) implements GgufOrder {}

    /** All queries, all keys, all values, where Hugging Face has those of a head together. */
    record Grouped(long heads) implements GgufOrder {}

    /** The matrix [out, in] that Hugging Face has as [in, out]. */
    record Transposed() implements GgufOrder {}

    /** A norm's 1 + w, where Hugging Face has w. */
    record PlusOne() implements GgufOrder {}

    /** Where a row of a file stands in Hugging Face's order. */
    default long huggingFaceRow(long row, long rows) {
        return switch (this) {
            case Same _, Transposed _, PlusOne _ -> row;
            case Halves(long heads) -> {
                long headRows = rows / heads;
                long inHead = row % headRows;
                yield row - inHead + inHead / 2 + inHead % 2 * (headRows / 2);
            }
            case Grouped(long heads) -> {
                long headRows = rows / (3 * heads);
                long part = row / (heads * headRows);
                long inPart = row % (heads * headRows);
                yield (inPart / headRows * 3 + part) * headRows + inPart % headRows;
            }
        };
    }

    /** Whether rows stand in another order. */
    default boolean movesRows() {
        return this instanceof Halves || this instanceof Grouped;
    }

    /** Whether so many rows can lie so. */
    default boolean splits(long rows) {
        return switch (this) {
            case Same _, Transposed _, PlusOne _ -> true;
            case Halves(long heads) -> rows % (2 * heads) == 0;
            case Grouped(long heads) -> rows % (3 * heads) == 0;
        };
    }
}
