package org.qlora4j.lora;

import org.qlora4j.error.FormatException;
import org.qlora4j.template.PythonPattern;
import org.qlora4j.tokenize.CountedText;

/** Matches a stranger's regular expression with a text, but not without end. */
final class BoundedMatch {
    /** Characters that a match may look at; module paths have some fifty. */
    private static final int MAX_LOOKS = 1_000_000;

    private BoundedMatch() {}

    /**
     * Whether the whole text matches an expression of Python.
     *
     * @throws FormatException if the search backtracks too long, or too deep for the stack
     */
    static boolean matches(String regex, String text) {
        try {
            CountedText counted = new CountedText(text, MAX_LOOKS, MAX_LOOKS);
            return PythonPattern.compile(regex, 0).java().matcher(counted).matches();
        } catch (CountedText.TooMuch | StackOverflowError e) {
            throw new FormatException(
                    "the regular expression %s searches too long in %s; write it without repeats inside repeats"
                            .formatted(regex, text),
                    e);
        }
    }
}
