package org.qlora4j.data;

import java.util.BitSet;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tokenize.Tokenizer;

/**
 * A text, or two ({@link ClassInput}), and behind them their one label ({@link Layout.Classes}).
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
    private final ClassInput input;
    private final Layout.Classes classes;
    private final int limit;

    ClassEncoder(
            DataConfig config, Tokenizer tokenizer, SpecialIds special, Layout.Classes classes) {
        this.config = config;
        this.input = new ClassInput(tokenizer, special.eos(), config.sanitizeControlTokens());
        this.classes = classes;
        this.limit = Math.min(config.sourceMaxLen(), classes.longest());
    }

    @Override
    public List<Encoded> encode(Row row) {
        List<String> fields = fields(row);
        String text = row.text(fields.getFirst());
        String pair = fields.size() == 1 ? null : row.text(fields.getLast());
        int label = label(row);
        int[] whole = input.ids(text, pair);
        int[] read = whole;
        if (whole.length > limit) {
            if (config.truncation() != Truncation.CUT) {
                String rule = limit < config.sourceMaxLen() ? "the model" : "data.source_max_len";
                return List.of(
                        ExampleEncoder.tooLong(row, whole, limit, rule, config.truncation()));
            }
            read = input.ids(text, pair, limit);
        }
        BitSet labelled = new BitSet(read.length + 1);
        labelled.set(read.length);
        Example example =
                new Example(
                        Affix.concat(read, new int[] {label}),
                        labelled,
                        row.file(),
                        row.line(),
                        whole.length + 1,
                        false);
        return List.of(new Encoded(example, "", 0));
    }

    private static List<String> fields(Row row) {
        for (List<String> names : TEXTS) {
            if (row.fields().keySet().containsAll(names)) {
                return names;
            }
        }
        throw row.error(
                "a model that classifies needs a text beside its label: one of %s; the record has %s, of which data.columns can name"
                        + " one, e.g. {text: review}",
                TEXTS, row.fields().keySet());
    }

    private int label(Row row) {
        Object label = row.fields().get(LABEL);
        int named = label instanceof String text ? classes.names().indexOf(text.strip()) : -1;
        if (named >= 0) {
            return named;
        }
        double number = number(label);
        if (classes.count() == 1) {
            if (!Float.isFinite((float) number)) {
                throw row.error("field label must be a number, got %s", shown(row));
            }
            return Float.floatToIntBits((float) number);
        }
        if (number == -1) {
            throw row.error(
                    "field label is -1, as in test sets without answers; use the part that has them");
        }
        if (!(number >= 0 && number < classes.count()) || number != Math.rint(number)) {
            throw row.error(
                    "field label must be a class from 0 to %d%s, got %s; model.num_labels says how many there are, model.label_names"
                            + " what they are called",
                    classes.count() - 1,
                    classes.names().isEmpty()
                            ? ""
                            : " or one of " + String.join(", ", classes.names()),
                    shown(row));
        }
        return (int) number;
    }

    /** A number, which a table may hold as a text; NaN for anything else. */
    private static double number(@Nullable Object label) {
        if (label instanceof Number n) {
            return n.doubleValue();
        }
        if (label instanceof Boolean b) {
            return b ? 1 : 0;
        }
        try {
            return label instanceof String text ? Double.parseDouble(text.strip()) : Double.NaN;
        } catch (NumberFormatException e) {
            return Double.NaN;
        }
    }

    private static String shown(Row row) {
        return row.fields().containsKey(LABEL)
                ? String.valueOf(row.fields().get(LABEL))
                : "none; the record has " + row.fields().keySet();
    }
}
