package org.qlora4j.data;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;

/**
 * Makes examples of records; one implementation each for chats, for prompt and answer, for text,
 * for text and class.
 */
sealed interface ExampleEncoder
        permits SourceTargetEncoder, ChatEncoder, AnswerPairs, TextEncoder, ClassEncoder {
    /**
     * An example and what it should say.
     *
     * @param text what its ids decode to; where tokens were cut off, what they begin with; empty
     *     not to ask
     * @param border where ids begin that were tokenized apart, so that they decode apart too; 0 for
     *     none
     * @param told what people should know of its record, a sentence each that says nothing of this
     *     one alone, so that records of which the same is to be said are counted
     */
    record Encoded(Example example, String text, int border, List<String> told) {
        Encoded(Example example, String text, int border) {
            this(example, text, border, List.of());
        }

        Encoded with(List<String> sentences) {
            return new Encoded(example, text, border, List.copyOf(sentences));
        }
    }

    /**
     * The examples of a record, nearly always one; a {@code FormatException} naming file and line
     * if it has a fault. One that the limits leave nothing of has no labels.
     */
    List<Encoded> encode(Row row);

    /**
     * A sentence for each column of a record that is lost. Such a column carries a part of the
     * conversation but stands nowhere in the text made of it.
     */
    static List<String> unused(Row row, String written) {
        return SideColumns.unused(row, written).stream()
                .map(column ->
                        "the column %s is not used; data.chat_template=tokenizer takes it into a chat where it can, data.columns names"
                                        .formatted(column)
                                + " its place")
                .toList();
    }

    /** The first {@code limit} ids. */
    static int[] cut(int[] ids, int limit) {
        return ids.length <= limit ? ids : Arrays.copyOf(ids, limit);
    }

    /**
     * The place of a record that does not fit: an example of its first ids, without labels, so that
     * it is left out and counted. With {@link Truncation#REFUSE} an error instead.
     *
     * @param limit what it should have fitted, for the message
     */
    static Encoded tooLong(Row row, int[] ids, int limit, String rule, Truncation truncation) {
        if (truncation == Truncation.REFUSE) {
            throw row.error(
                    "%d tokens, but %s allows %d; raise it, shorten the record, or set data.truncation",
                    ids.length, rule, limit);
        }
        Example none =
                new Example(
                        cut(ids, limit), new BitSet(), row.file(), row.line(), ids.length, true);
        return new Encoded(none, "", 0);
    }
}
