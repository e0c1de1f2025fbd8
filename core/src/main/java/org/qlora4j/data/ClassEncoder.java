package org.qlora4j.data;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalInt;
import org.qlora4j.tokenize.Tokenizer;

/**
 * A text, or two, and behind them the number of their class as the one label. Special tokens stand
 * as RoBERTa has them: {@code <s> a </s>} or {@code <s> a </s></s> b </s>}.
 */
final class ClassEncoder implements ExampleEncoder {
    static final String LABEL = "label";

    /** Names of texts, GLUE's among them; of a record the first that are all there. */
    private static final List<List<String>> TEXTS =
            List.of(
                    List.of("text", "text_pair"),
                    List.of("sentence1", "sentence2"),
                    List.of("premise", "hypothesis"),
                    List.of("question1", "question2"),
                    List.of("question", "sentence"),
                    List.of("sentence"),
                    List.of("text"));

    private final DataConfig config;
    private final ControlTokens control;
    private final OptionalInt bos;
    private final int eos;

    ClassEncoder(DataConfig config, Tokenizer tokenizer, SpecialIds special) {
        this.config = config;
        this.control = new ControlTokens(tokenizer);
        this.bos = tokenizer.bosId();
        this.eos = special.eos();
    }

    @Override
    public List<Encoded> encode(Row row) {
        List<int[]> texts = new ArrayList<>();
        for (String field : fields(row)) {
            String text = row.text(field);
            texts.add(
                    control.encode(config.sanitizeControlTokens() ? control.guarded(text) : text));
        }
        int special = bos.isPresent() ? 1 : 0;
        special += texts.size() == 1 ? 1 : 3;
        int full = special + 1;
        for (int[] text : texts) {
            full += text.length;
        }
        int over = full - 1 - config.sourceMaxLen();
        if (over > 0 && config.truncation() == Truncation.REFUSE) {
            throw row.error(
                    "%d tokens, but data.source_max_len allows %d; raise it, shorten the record, or set data.truncation",
                    full - 1, config.sourceMaxLen());
        }
        for (; over > 0; over--) { // the longer one gives way, as in transformers
            boolean second = texts.size() > 1 && texts.get(1).length > texts.get(0).length;
            int[] longer = texts.get(second ? 1 : 0);
            texts.set(second ? 1 : 0, ExampleEncoder.cut(longer, Math.max(0, longer.length - 1)));
        }
        int[] ids = bos.isPresent() ? new int[] {bos.getAsInt()} : new int[0];
        for (int i = 0; i < texts.size(); i++) {
            ids = i == 0 ? ids : Affix.concat(ids, new int[] {eos});
            ids = Affix.concat(Affix.concat(ids, texts.get(i)), new int[] {eos});
        }
        BitSet labelled = new BitSet(ids.length + 1);
        labelled.set(ids.length);
        ids = Affix.concat(ids, new int[] {label(row)});
        return List.of(
                new Encoded(
                        new Example(ids, labelled, row.file(), row.line(), full, false), "", 0));
    }

    private static List<String> fields(Row row) {
        for (List<String> names : TEXTS) {
            if (row.fields().keySet().containsAll(names)) {
                return names;
            }
        }
        throw row.error(
                "format classification needs a text beside its label: one of %s; the record has %s",
                TEXTS, row.fields().keySet());
    }

    private static int label(Row row) {
        Object label = row.fields().get(LABEL);
        double number = label instanceof Number n ? n.doubleValue() : Double.NaN;
        if (number < 0 || number != Math.rint(number) || number > Integer.MAX_VALUE) {
            throw row.error(
                    "field label must be the number of a class from 0, got %s%s",
                    label, number == -1 ? ", as test sets without answers have it" : "");
        }
        return (int) number;
    }
}
