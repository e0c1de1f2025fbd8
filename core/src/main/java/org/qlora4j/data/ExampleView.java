package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.qlora4j.tokenize.Tokenizer;

/**
 * An example as text, with what is learnt set off. A user sees so before a run what the run will
 * learn.
 */
public final class ExampleView {
    private static final String BOLD = "\u001b[1m";
    private static final String PLAIN = "\u001b[0m";

    private ExampleView() {}

    /**
     * As {@link #show(Example, Tokenizer, boolean)}, for a model that takes examples so: the label
     * of a text is no token.
     */
    public static String show(Example example, Layout layout, Tokenizer tokenizer, boolean ansi) {
        if (!(layout instanceof Layout.Classes(int count, List<String> names, int longest))) {
            return show(example, tokenizer, ansi);
        }
        int last = example.length() - 1;
        int label = example.ids()[last];
        String said =
                count == 1
                        ? "number " + Float.intBitsToFloat(label)
                        : "class " + label + (names.isEmpty() ? "" : ", " + names.get(label));
        return "%s:%d: %d tokens%n".formatted(example.file(), example.line(), last)
                + visible(tokenizer.decode(Arrays.copyOf(example.ids(), last), false))
                + (ansi ? BOLD : " [[")
                + said
                + (ansi ? PLAIN : "]]");
    }

    /**
     * One line of facts, then the text as the model sees it, special tokens written out.
     *
     * @param ansi whether what is learnt is set bold, for terminals; otherwise it stands in {@code
     *     [[double brackets]]}
     */
    public static String show(Example example, Tokenizer tokenizer, boolean ansi) {
        String open = ansi ? BOLD : "[[";
        String close = ansi ? PLAIN : "]]";
        StringBuilder out = new StringBuilder();
        out.append(
                "%s:%d: %d tokens, %d trained (%s)%n"
                        .formatted(
                                example.file(),
                                example.line(),
                                example.length(),
                                example.labelTokens(),
                                open + (ansi ? "bold" : "so") + close));
        for (Stretch stretch : stretches(example, tokenizer)) {
            String text = visible(stretch.text);
            out.append(stretch.learnt ? open + text + close : text);
        }
        return out.toString();
    }

    /**
     * Tokens behind each other that are all learnt, or all given.
     *
     * @param text that they are, special tokens written out
     */
    public record Stretch(String text, boolean learnt) {}

    /** The text of an example, cut where it begins or ceases to be learnt. */
    public static List<Stretch> stretches(Example example, Tokenizer tokenizer) {
        List<Stretch> out = new ArrayList<>();
        String before = "";
        for (int from = 0, to; from < example.length(); from = to) {
            boolean learnt = example.labelled().get(from);
            int end =
                    learnt
                            ? example.labelled().nextClearBit(from)
                            : example.labelled().nextSetBit(from);
            to = end < 0 ? example.length() : Math.min(end, example.length());
            String upTo = tokenizer.decode(Arrays.copyOf(example.ids(), to), false);
            String text = upTo.startsWith(before) ? upTo.substring(before.length()) : upTo;
            out.add(new Stretch(text, learnt));
            before = upTo;
        }
        return out;
    }

    /**
     * Control characters, but for line feed and tab, as escapes: text of strangers must not steer a
     * terminal.
     */
    private static String visible(String text) {
        StringBuilder out = new StringBuilder(text.length());
        text.chars()
                .forEach(c -> {
                    if (Character.isISOControl(c) && c != '\n' && c != '\t') {
                        out.append("\\u%04x".formatted(c));
                    } else {
                        out.append((char) c);
                    }
                });
        return out.toString();
    }
}
