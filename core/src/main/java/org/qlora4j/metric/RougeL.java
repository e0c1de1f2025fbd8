package org.qlora4j.metric;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * ROUGE-L (Lin, ACL 2004): how much of a text is in another as a longest common subsequence of
 * words. Tokens and figures are those of Google's {@code rouge_score}.
 *
 * @param stems whether words of more than three letters are compared by their {@link PorterStemmer}
 *     stems, as Super-NaturalInstructions does
 */
public record RougeL(boolean stems) {
    /**
     * The F-measure of precision and recall.
     *
     * @return 0 to 1; 0 where either text has no word
     */
    public double f1(String expected, String answer) {
        List<String> target = tokens(expected);
        List<String> said = tokens(answer);
        int common = common(target, said);
        if (common == 0) {
            return 0;
        }
        double precision = (double) common / said.size();
        double recall = (double) common / target.size();
        return 2 * precision * recall / (precision + recall);
    }

    /** Runs of ASCII letters and digits in lower case. */
    private List<String> tokens(String text) {
        List<String> out = new ArrayList<>();
        for (String word : text.toLowerCase(Locale.ROOT).split("[^a-z0-9]+")) {
            if (!word.isEmpty()) {
                out.add(stems && word.length() > 3 ? PorterStemmer.stem(word) : word);
            }
        }
        return out;
    }

    /** Length of the longest common subsequence. */
    private static int common(List<String> a, List<String> b) {
        int[] before = new int[b.size() + 1];
        for (String word : a) {
            int[] now = new int[b.size() + 1];
            for (int j = 1; j <= b.size(); j++) {
                now[j] =
                        word.equals(b.get(j - 1))
                                ? before[j - 1] + 1
                                : Math.max(before[j], now[j - 1]);
            }
            before = now;
        }
        return before[b.size()];
    }
}
