package org.qlora4j.tokenize;

import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.Shown;
import org.qlora4j.template.CountedText;

/**
 * A regular expression of a {@code tokenizer.json}, judged before Oniguruma runs it. Oniguruma ends
 * the process where a match takes more than ten million retries, and overflows the stack on deep
 * nesting. So patterns whose loops can backtrack without bound are refused when the tokenizer is
 * read ({@link RegexTree}), and each text is first tried with the same pattern here, counting the
 * characters looked at. The patterns of the usual tokenizers need no trial: a bound on runs of
 * blanks holds them.
 */
final class PatternGuard {
    /** Splits words as GPT-2 does. */
    static final String GPT2 =
            "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

    /** Splits words as Llama 3 does. */
    static final String LLAMA3 =
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

    /** Splits words as Qwen 2 does. */
    static final String QWEN2 = LLAMA3.replace("\\p{N}{1,3}", "\\p{N}");

    /** Patterns known to take no more retries than a run of blanks is long. */
    static final Set<String> KNOWN = Set.of(GPT2, LLAMA3, QWEN2);

    /** Characters one attempt may look at, far below Oniguruma's limit on retries. */
    static final int MAX_ATTEMPT = 2_000_000;

    /** Characters that all attempts on one text may look at: a second or two. */
    static final long MAX_TOTAL = 200_000_000;

    private static final int MAX_LENGTH = 20_000;

    private final String source;
    private final Pattern pattern;

    private PatternGuard(String source, Pattern pattern) {
        this.source = source;
        this.pattern = pattern;
    }

    /**
     * Judges a pattern.
     *
     * @param where the file and the key that holds it, for messages
     * @throws FormatException if its own shape makes it dangerous, or is not understood
     */
    static PatternGuard of(String source, String where) {
        if (source.length() > MAX_LENGTH) {
            throw FormatException.of(
                    "%s: a regular expression of %d characters is longer than the %d that are run",
                    where, source.length(), MAX_LENGTH);
        }
        try {
            RegexTree tree = RegexTree.parse(source);
            tree.check();
            return new PatternGuard(
                    source,
                    Pattern.compile(
                            tree.java(),
                            Pattern.MULTILINE
                                    | Pattern.UNICODE_CASE
                                    | Pattern.UNICODE_CHARACTER_CLASS));
        } catch (PatternSyntaxException e) {
            throw new FormatException(
                    "%s: the regular expression %s is not run: %s"
                            .formatted(where, Shown.of(source), e.getDescription()),
                    e);
        }
    }

    boolean isKnown() {
        return KNOWN.contains(source);
    }

    /** A text that {@link #check} has passed, with each match replaced. */
    String replaced(String text, String content) {
        return pattern.matcher(text).replaceAll(Matcher.quoteReplacement(content));
    }

    /**
     * Tries a text at every place where Oniguruma would.
     *
     * @throws FormatException if that takes too long
     */
    void check(String text) {
        CountedText counted = new CountedText(text, MAX_ATTEMPT, MAX_TOTAL);
        Matcher matcher = pattern.matcher(counted).useTransparentBounds(true);
        matcher.useAnchoringBounds(false);
        try {
            int at = 0;
            while (at < text.length()) {
                counted.nextAttempt();
                matcher.region(at, text.length());
                boolean matched = matcher.lookingAt();
                at = matched && matcher.end() > at ? matcher.end() : at + 1;
            }
        } catch (CountedText.TooMuch | StackOverflowError e) {
            throw FormatException.of(
                    "a text of %d characters makes the tokenizer's regular expression %s search too long; shorten it",
                    text.length(), Shown.of(source));
        }
    }
}
