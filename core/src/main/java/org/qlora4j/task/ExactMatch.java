package org.qlora4j.task;

import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.qlora4j.template.PythonRegex;

/**
 * Whether an answer is the expected text, once what does not matter is taken off both.
 *
 * @param ignored {@code regexes_to_ignore}
 * @param ignoreCase letters compare in lower case
 * @param ignorePunctuation without ASCII punctuation
 * @param ignoreNumbers without the digits 0 to 9
 */
record ExactMatch(
        List<PythonRegex> ignored,
        boolean ignoreCase,
        boolean ignorePunctuation,
        boolean ignoreNumbers) {
    static final ExactMatch PLAIN = new ExactMatch(List.of(), false, false, false);

    private static final String PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

    /** An answer that a filter has made nothing of equals no text. */
    boolean equal(@Nullable String answer, String expected) {
        return answer != null && plain(answer).equals(plain(expected));
    }

    private String plain(String text) {
        String out = text;
        for (PythonRegex regex : ignored) {
            out = regex.replace(out, "", 0);
        }
        if (ignoreCase) {
            out = out.toLowerCase(Locale.ROOT);
        }
        if (ignorePunctuation) {
            out = without(out, PUNCTUATION);
        }
        if (ignoreNumbers) {
            out = without(out, "0123456789");
        }
        // numpy's arrays of text, in which the harness compares, drop NULs at the end
        int end = out.length();
        while (end > 0 && out.charAt(end - 1) == '\0') {
            end--;
        }
        return out.substring(0, end);
    }

    private static String without(String text, String characters) {
        StringBuilder out = new StringBuilder();
        text.chars().filter(c -> characters.indexOf(c) < 0).forEach(c -> out.append((char) c));
        return out.toString();
    }
}
