package org.qlora4j.data;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.qlora4j.tokenize.Tokenizer;

/**
 * Special tokens that stand in texts of people, such as {@code <|im_end|>} in a question. Written
 * into a prompt they would end the turn. Guarded ones stay the letters that they are: a mark inside
 * of each survives the chat template, and the text is tokenized apart there.
 */
final class ControlTokens {
    /** A character that Unicode keeps for such use inside of programs. */
    private static final char MARK = '\uFDD0';

    private final Tokenizer tokenizer;
    private final @Nullable Pattern pattern;

    ControlTokens(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
        Set<String> tokens = tokenizer.controlTokens();
        this.pattern = tokens.isEmpty() ? null : anyOf(tokens);
    }

    private static Pattern anyOf(Set<String> tokens) {
        // asked first, so that a long text is not compared with hundreds of tokens at each place
        String beginnings =
                tokens.stream()
                        .map(token ->
                                Pattern.quote(token.substring(0, token.offsetByCodePoints(0, 1))))
                        .distinct()
                        .collect(Collectors.joining("|", "(?=", ")"));
        return Pattern.compile(
                tokens.stream()
                        .sorted(Comparator.comparing(String::length).reversed())
                        .map(Pattern::quote)
                        .collect(Collectors.joining("|", beginnings + "(?:", ")")));
    }

    /** The first of them in a text, or null. */
    @Nullable String firstIn(String text) {
        Matcher found = pattern == null ? null : pattern.matcher(text);
        return found != null && found.find() ? found.group() : null;
    }

    /** The one that a text begins with, or null. */
    @Nullable String atStartOf(String text) {
        Matcher found = pattern == null ? null : pattern.matcher(text);
        return found != null && found.lookingAt() ? found.group() : null;
    }

    /** The text with a mark behind the first character of each of them. */
    String guarded(String text) {
        if (pattern == null || firstIn(text) == null) {
            return text;
        }
        return pattern.matcher(text)
                .replaceAll(found -> {
                    String token = found.group();
                    int first = token.offsetByCodePoints(0, 1);
                    return Matcher.quoteReplacement(
                            token.substring(0, first) + MARK + token.substring(first));
                });
    }

    /** A text of people, in which U+FDD0 stands for no letter, with U+FFFD in its place. */
    static String withoutMarks(String text) {
        return text.indexOf(MARK) < 0 ? text : text.replace(MARK, '\uFFFD');
    }

    /** Text of people as it is to be encoded, its control tokens kept letters if asked. */
    String of(String text, boolean sanitizes) {
        String own = withoutMarks(text);
        return sanitizes ? guarded(own) : own;
    }

    /** A text without marks. */
    static String plain(String text) {
        return text.indexOf(MARK) < 0 ? text : text.replace(String.valueOf(MARK), "");
    }

    /** Ids of a text; guarded tokens are letters in it, others are tokens. */
    int[] encode(String text) {
        if (text.indexOf(MARK) < 0) {
            return tokenizer.encode(text);
        }
        List<int[]> pieces = new ArrayList<>();
        for (String piece : text.split(String.valueOf(MARK), -1)) {
            // a SentencePiece tokenizer would put a space before a piece that stands alone
            pieces.add(pieces.isEmpty() ? tokenizer.encode(piece) : behind("\n", piece));
        }
        return pieces.stream().flatMapToInt(Arrays::stream).toArray();
    }

    /**
     * Ids of a piece that follows another. Pieces are tokenized apart, so that no token lies across
     * their border; but a SentencePiece tokenizer puts a space before a text that stands alone,
     * which the piece before it keeps away.
     */
    int[] behind(String before, String piece) {
        if (before.isEmpty() || piece.isEmpty()) {
            return encode(piece);
        }
        int[] head = encode(before);
        int[] both = encode(before + piece);
        boolean border =
                both.length >= head.length
                        && Arrays.equals(both, 0, head.length, head, 0, head.length);
        return border ? Arrays.copyOfRange(both, head.length, both.length) : encode(piece);
    }
}
