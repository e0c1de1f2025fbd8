package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Plain text, all of it learnt, its end-of-text token included. A text longer than the limits goes
 * on in the next example, so that none of it is lost.
 */
final class TextEncoder implements ExampleEncoder {
    private final DataConfig config;
    private final ControlTokens control;
    private final Affix bos;
    private final Affix eos;

    TextEncoder(DataConfig config, Tokenizer tokenizer, SpecialIds special) {
        this.config = config;
        this.control = new ControlTokens(tokenizer);
        this.bos = Affix.of(special.bos(), tokenizer);
        this.eos = Affix.of(special.eos(), tokenizer);
    }

    @Override
    public List<Encoded> encode(Row row) {
        String given = row.text("text");
        if (config.sanitizeControlTokens()) {
            given = eos.off(bos.off(given));
        }
        Affix before = bos.unlessBegins(given);
        Affix after = eos.unlessEnds(given);
        String guarded = control.of(given, config.sanitizeControlTokens());
        int[] middle = control.encode(before.text() + guarded + after.text());
        String text = before.text() + given + after.text();
        int[] ids = Affix.concat(Affix.concat(before.ids(), middle), after.ids());
        int limit = config.sourceMaxLen() + config.targetMaxLen();
        List<Encoded> parts = new ArrayList<>();
        for (int from = 0, to; from < ids.length; from = to) {
            to = Math.min(ids.length, from + limit);
            to -= ids.length - to == 1 ? 1 : 0; // nothing would tell of an end that stands alone
            int[] part = Arrays.copyOfRange(ids, from, to);
            BitSet labelled = new BitSet(part.length);
            labelled.set(0, part.length);
            Example example =
                    new Example(part, labelled, row.file(), row.line(), part.length, false);
            parts.add(new Encoded(example, part.length == ids.length ? text : "", 0));
        }
        parts.set(0, parts.getFirst().with(ExampleEncoder.unused(row, given)));
        return parts;
    }
}
