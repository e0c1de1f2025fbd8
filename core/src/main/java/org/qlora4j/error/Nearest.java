package org.qlora4j.error;

import org.jspecify.annotations.Nullable;

/** Finds the known word that a mistyped one is closest to, for messages that ask "did you mean". */
public final class Nearest {
    private Nearest() {}

    /** The nearest of some words, or null where none is within a third of the word's length. */
    public static @Nullable String of(String word, Iterable<String> words) {
        String best = null;
        int smallest = Math.max(2, word.length() / 3) + 1;
        for (String candidate : words) {
            int distance = distance(word, candidate);
            if (distance < smallest) {
                smallest = distance;
                best = candidate;
            }
        }
        return best;
    }

    /**
     * Edits between two words: insert, delete, replace or swap two neighbours (optimal string
     * alignment).
     */
    public static int distance(String a, String b) {
        int[][] d = new int[a.length() + 1][b.length() + 1];
        for (int i = 0; i <= a.length(); i++) {
            d[i][0] = i;
        }
        for (int j = 0; j <= b.length(); j++) {
            d[0][j] = j;
        }
        for (int i = 1; i <= a.length(); i++) {
            for (int j = 1; j <= b.length(); j++) {
                int replaced = d[i - 1][j - 1] + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
                d[i][j] = Math.min(replaced, Math.min(d[i - 1][j], d[i][j - 1]) + 1);
                if (i > 1
                        && j > 1
                        && a.charAt(i - 1) == b.charAt(j - 2)
                        && a.charAt(i - 2) == b.charAt(j - 1)) {
                    d[i][j] = Math.min(d[i][j], d[i - 2][j - 2] + 1);
                }
            }
        }
        return d[a.length()][b.length()];
    }
}
