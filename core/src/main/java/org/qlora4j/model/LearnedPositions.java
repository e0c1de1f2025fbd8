package org.qlora4j.model;

import java.util.Arrays;
import org.qlora4j.autograd.Add;
import org.qlora4j.autograd.Embedding;
import org.qlora4j.autograd.Parameter;
import org.qlora4j.autograd.Tape;
import org.qlora4j.autograd.Var;
import org.qlora4j.error.ConfigException;
import org.qlora4j.tensor.Tensors;

/**
 * A table with a learnt row for each place in a text, added to the embeddings.
 *
 * @param table [places + offset, hidden]
 * @param offset row of the first place (OPT: 2)
 * @param skipsPadding whether padding has no place, so that it counts as the one before the first
 */
public record LearnedPositions(Parameter table, int offset, boolean skipsPadding) {
    /**
     * x plus the rows of its places.
     *
     * @param x [batch, time, hidden]
     * @throws ConfigException if a text is longer than the table
     */
    public Var add(Tape tape, Var x, Context seen) {
        int batch = (int) x.value().size(0);
        int time = (int) x.value().size(1);
        Positions places = skipsPadding ? seen.textPositions(time) : seen.positions(time);
        long[] ids = places.ids(batch, offset);
        long rows = table.shape()[0];
        long last = Arrays.stream(ids).max().orElse(0);
        if (last >= rows) {
            throw ConfigException.of(
                    "a text of %d tokens is too long for this model, which has learnt %d positions; shorten it"
                            + " (training: data.source_max_len, data.target_max_len)",
                    last - offset + 1, rows - offset);
        }
        var of = Embedding.apply(tape, table, tape.keep(Tensors.of(ids, batch, time)));
        return Add.apply(tape, x, of);
    }
}
