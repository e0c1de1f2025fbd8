package org.qlora4j.data;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Ids of what a classifier reads, with special tokens as RoBERTa has them: {@code <s> a </s>}, or
 * {@code <s> a </s></s> b </s>} for two texts.
 */
public final class ClassInput {
    private final ControlTokens control;
    private final boolean sanitizes;
    private final OptionalInt bos;
    private final int eos;

    /**
     * @param eos stands behind each text
     * @param sanitizes whether special tokens that stand in texts are kept letters
     */
    public ClassInput(Tokenizer tokenizer, int eos, boolean sanitizes) {
        this.control = new ControlTokens(tokenizer);
        this.sanitizes = sanitizes;
        this.bos = tokenizer.bosId();
        this.eos = eos;
    }

    /** Ids of a text, or of two; nothing is cut off. */
    public int[] ids(String text, @Nullable String pair) {
        return joined(texts(text, pair));
    }

    /**
     * Ids of at most {@code limit} tokens: of two texts the longer one loses its last token, again
     * and again, as transformers' {@code longest_first} does.
     */
    int[] ids(String text, @Nullable String pair, int limit) {
        List<int[]> texts = texts(text, pair);
        int[] lengths = texts.stream().mapToInt(each -> each.length).toArray();
        for (int over = joined(texts).length - limit; over > 0; over--) {
            int longer = lengths.length > 1 && lengths[1] > lengths[0] ? 1 : 0;
            lengths[longer] = Math.max(0, lengths[longer] - 1);
        }
        for (int i = 0; i < lengths.length; i++) {
            texts.set(i, ExampleEncoder.cut(texts.get(i), lengths[i]));
        }
        return joined(texts);
    }

    private List<int[]> texts(String text, @Nullable String pair) {
        List<int[]> texts = new ArrayList<>();
        texts.add(encode(text));
        if (pair != null) {
            texts.add(encode(pair));
        }
        return texts;
    }

    private int[] encode(String text) {
        return control.encode(control.of(text, sanitizes));
    }

    private int[] joined(List<int[]> texts) {
        IntStream all = bos.isPresent() ? IntStream.of(bos.getAsInt()) : IntStream.empty();
        for (int i = 0; i < texts.size(); i++) {
            all = i == 0 ? all : IntStream.concat(all, IntStream.of(eos));
            all = IntStream.concat(all, IntStream.of(texts.get(i)));
            all = IntStream.concat(all, IntStream.of(eos));
        }
        return all.toArray();
    }
}
