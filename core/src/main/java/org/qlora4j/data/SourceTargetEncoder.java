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
    private final ControlTokens control;
    private final Affix first;
    private final Affix last;
    private final int[] sourceEnd;

    /**
     * @param pairs whether source and target are two texts, so that each gets its end
     */
    SourceTargetEncoder(
            DatasetFormat format,
            DataConfig config,
            Tokenizer tokenizer,
            SpecialIds special,
            boolean pairs) {
        this.sourceEnd = pairs ? new int[] {special.eos()} : new int[0];
        this.format = format;
        this.config = config;
        this.control = new ControlTokens(tokenizer);
        this.first = Affix.of(special.bos(), tokenizer);
        this.last = Affix.of(special.eos(), tokenizer);
    }

    @Override
    public List<Encoded> encode(Row row) {
        List<Encoded> examples = new ArrayList<>();
        StringBuilder written = new StringBuilder();
        for (SourceTarget pair : SourceTarget.allOf(row, format)) {
            written.append(pair.source()).append('\n').append(pair.target()).append('\n');
            examples.add(encode(row, pair));
        }
        List<String> told = new ArrayList<>(ExampleEncoder.unused(row, written.toString()));
        String token = control.firstIn(written.toString());
        if (token != null && config.sanitizeControlTokens()) {
            told.add("control tokens such as %s in texts are kept letters".formatted(token));
        } else if (token != null) {
            told.add(
                    "texts hold control tokens such as %s, which the model reads as such; data.sanitize_control_tokens=true keeps them"
                                    .formatted(token)
                            + " letters");
        }
        examples.set(0, examples.getFirst().with(told));
        return examples;
    }

    private Encoded encode(Row row, SourceTarget given) {
        // where control tokens are kept letters, those around a text must be the tokens all the
        // same
        SourceTarget texts =
                config.sanitizeControlTokens()
                        ? new SourceTarget(first.off(given.source()), last.off(given.target()))
                        : given;
        Affix bos = first.unlessBegins(texts.source().isEmpty() ? texts.target() : texts.source());
        Affix eos = last.unlessEnds(texts.target());
        String before = bos.text() + texts.source();
        String after = texts.target() + eos.text();
        int[] source = Affix.concat(bos.ids(), ids(bos.text(), texts.source(), ""));
        int sourceLimit = config.sourceMaxLen() - sourceEnd.length;
        int[] target = Affix.concat(ids("", texts.target(), eos.text()), eos.ids());
        int fullLength = source.length + sourceEnd.length + target.length;
        boolean endCut = target.length > config.targetMaxLen();
        boolean cutsSource =
                config.truncation() == Truncation.CUT
                        || config.truncation() == Truncation.DROP_FIRST_TURNS;
        if (endCut && config.truncation() != Truncation.CUT) {
            int limit = config.targetMaxLen();
            return ExampleEncoder.tooLong(
                    row, target, limit, "data.target_max_len", config.truncation());
        }
        boolean sourceCut = source.length > sourceLimit;
        if (sourceCut && !cutsSource) {
            int limit = config.sourceMaxLen();
            return ExampleEncoder.tooLong(
                    row, source, limit, "data.source_max_len", config.truncation());
        }
        source =
                config.truncation() == Truncation.DROP_FIRST_TURNS
                        ? keepEnd(source, sourceLimit)
                        : ExampleEncoder.cut(source, sourceLimit);
        source = ended(source);
        int[] ids = Affix.concat(source, ExampleEncoder.cut(target, config.targetMaxLen()));
        BitSet labelled = new BitSet(ids.length);
        labelled.set(config.trainOnSource() ? 0 : source.length, ids.length);
        Example example = new Example(ids, labelled, row.file(), row.line(), fullLength, endCut);
        // ids of two texts do not decode to one
        boolean asks = !sourceCut && sourceEnd.length == 0;
        return new Encoded(example, asks ? before + after : "", asks ? source.length : 0);
    }

    /** A source that is a text of its own, with its end unless it has it. */
    private int[] ended(int[] source) {
        boolean has =
                sourceEnd.length == 0
                        || (source.length > 0 && source[source.length - 1] == sourceEnd[0]);
        return has ? source : Affix.concat(source, sourceEnd);
    }

    /** Ids of a text of the record between special tokens. */
    private int[] ids(String before, String text, String after) {
        return control.encode(before + control.of(text, config.sanitizeControlTokens()) + after);
    }

    /** The last ids of a source, behind its BOS if it has one. */
    private int[] keepEnd(int[] source, int limit) {
        int over = source.length - limit;
        if (over <= 0) {
            return source;
        }
        int head = first.text().isEmpty() && first.ids().length == 0 ? 0 : 1;
        if (limit <= head) {
            return ExampleEncoder.cut(source, Math.max(0, limit));
        }
        return Affix.concat(
                ExampleEncoder.cut(source, head),
                Arrays.copyOfRange(source, head + over, source.length));
    }
}
