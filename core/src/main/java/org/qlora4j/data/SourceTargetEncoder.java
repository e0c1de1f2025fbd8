package org.qlora4j.data;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.stream.IntStream;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Source and target as qlora.py's collator joins them: BOS + source and target + EOS, tokenized
 * apart, each cut on the right to its own limit. A target that is cut loses its EOS, as it does
 * there.
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
        this.bos =
                special.bos().isPresent()
                        ? Affix.of(special.bos().getAsInt(), tokenizer)
                        : new Affix("", new int[0]);
        this.eos = Affix.of(special.eos(), tokenizer);
    }

    @Override
    public List<Example> encode(Row row) {
        SourceTarget texts = SourceTarget.of(row, format);
        int[] source = concat(bos.ids, tokenizer.encode(bos.text + texts.source()));
        int[] target = concat(tokenizer.encode(texts.target() + eos.text), eos.ids);
        int fullLength = source.length + target.length;
        boolean endCut = target.length > config.targetMaxLen();
        source = ExampleEncoder.cut(source, config.sourceMaxLen());
        int[] ids = concat(source, ExampleEncoder.cut(target, config.targetMaxLen()));
        BitSet labelled = new BitSet(ids.length);
        labelled.set(config.trainOnSource() ? 0 : source.length, ids.length);
        return List.of(new Example(ids, labelled, row.file(), row.line(), fullLength, endCut));
    }

    private static int[] concat(int[] a, int[] b) {
        return IntStream.concat(Arrays.stream(a), Arrays.stream(b)).toArray();
    }

    /**
     * A special token beside text. It is written into the text where the tokenizer knows it there,
     * because that can change how the text is cut (SentencePiece puts a space before the first word
     * of a text, but not of one that follows a token); else its id is joined on.
     */
    @SuppressWarnings("ArrayRecordComponent") // never compared
    private record Affix(String text, int[] ids) {
        static Affix of(int id, Tokenizer tokenizer) {
            String written = tokenizer.decode(new int[] {id}, false);
            boolean known = Arrays.equals(tokenizer.encode(written), new int[] {id});
            return known ? new Affix(written, new int[0]) : new Affix("", new int[] {id});
        }
    }
}
