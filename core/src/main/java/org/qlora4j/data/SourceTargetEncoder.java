package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Source and target as qlora.py's collator joins them: BOS + source and target + EOS, tokenized
 * apart, each held to its own limit by {@link Truncation}. With {@link Truncation#CUT} a target
 * that is cut loses its EOS, as it does there.
 */
final class SourceTargetEncoder implements ExampleEncoder {
    private final DatasetFormat format;
    private final DataConfig config;
    private final Tokenizer tokenizer;
    private final Affix bos;
    private final Affix eos;

    SourceTargetEncoder(
            DatasetFormat format, DataConfig config, Tokenizer tokenizer, SpecialIds special) {
        this.format = format;
        this.config = config;
        this.tokenizer = tokenizer;
        this.bos = Affix.of(special.bos(), tokenizer);
        this.eos = Affix.of(special.eos(), tokenizer);
    }

    @Override
    public List<Encoded> encode(Row row) {
        List<Encoded> examples = new ArrayList<>();
        for (SourceTarget pair : SourceTarget.allOf(row, format)) {
            examples.add(encode(row, pair));
        }
        return examples;
    }

    private Encoded encode(Row row, SourceTarget texts) {
        String before = bos.text() + texts.source();
        String after = texts.target() + eos.text();
        int[] source = Affix.concat(bos.ids(), tokenizer.encode(before));
        int[] target = Affix.concat(tokenizer.encode(after), eos.ids());
        int fullLength = source.length + target.length;
        boolean endCut = target.length > config.targetMaxLen();
        boolean cutsSource =
                config.truncation() == Truncation.CUT
                        || config.truncation() == Truncation.DROP_FIRST_TURNS;
        if (endCut && config.truncation() != Truncation.CUT) {
            int limit = config.targetMaxLen();
            return ExampleEncoder.tooLong(
                    row, target, limit, "data.target_max_len", config.truncation());
        }
        if (source.length > config.sourceMaxLen() && !cutsSource) {
            int limit = config.sourceMaxLen();
            return ExampleEncoder.tooLong(
                    row, source, limit, "data.source_max_len", config.truncation());
        }
        boolean sourceCut = source.length > config.sourceMaxLen();
        source =
                config.truncation() == Truncation.DROP_FIRST_TURNS
                        ? keepEnd(source)
                        : ExampleEncoder.cut(source, config.sourceMaxLen());
        int[] ids = Affix.concat(source, ExampleEncoder.cut(target, config.targetMaxLen()));
        BitSet labelled = new BitSet(ids.length);
        labelled.set(config.trainOnSource() ? 0 : source.length, ids.length);
        Example example = new Example(ids, labelled, row.file(), row.line(), fullLength, endCut);
        return new Encoded(example, sourceCut ? "" : before + after, source.length);
    }

    /** The last ids of a source, behind its BOS if it has one. */
    private int[] keepEnd(int[] source) {
        int over = source.length - config.sourceMaxLen();
        if (over <= 0) {
            return source;
        }
        int head = bos.text().isEmpty() && bos.ids().length == 0 ? 0 : 1;
        if (config.sourceMaxLen() <= head) {
            return ExampleEncoder.cut(source, config.sourceMaxLen());
        }
        return Affix.concat(
                ExampleEncoder.cut(source, head),
                Arrays.copyOfRange(source, head + over, source.length));
    }
}
