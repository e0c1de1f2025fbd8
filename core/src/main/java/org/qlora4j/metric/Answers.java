package org.qlora4j.metric;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Figures of generated answers in percent, as Super-NaturalInstructions has them (arXiv
 * 2204.07705): ROUGE-L with stems, and answers that are the expected ones but for case, punctuation
 * and white space.
 */
public final class Answers {
    public static final String ROUGE_L = "rougeL";
    public static final String EXACT_MATCH = "exact_match";

    private static final String PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
    private static final RougeL ROUGE = new RougeL(true);

    private Answers() {}

    /**
     * Means over the answers, by name.
     *
     * @param expected as many as answers, at least one
     */
    public static Map<String, Double> scores(List<String> expected, List<String> answers) {
        double rouge = 0;
        double exact = 0;
        for (int i = 0; i < answers.size(); i++) {
            rouge += ROUGE.f1(expected.get(i), answers.get(i));
            exact += normalized(expected.get(i)).equals(normalized(answers.get(i))) ? 1 : 0;
        }
        Map<String, Double> scores = new LinkedHashMap<>();
        scores.put(ROUGE_L, 100 * rouge / answers.size());
        scores.put(EXACT_MATCH, 100 * exact / answers.size());
        return scores;
    }

    /** In lower case, without ASCII punctuation, and with one blank between words. */
    static String normalized(String text) {
        StringBuilder kept = new StringBuilder();
        text.toLowerCase(Locale.ROOT)
                .codePoints()
                .filter(c -> PUNCTUATION.indexOf(c) < 0)
                .forEach(kept::appendCodePoint);
        return String.join(" ", kept.toString().strip().split("\\s+"));
    }
}
