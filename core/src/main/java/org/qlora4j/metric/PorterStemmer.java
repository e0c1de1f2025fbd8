package org.qlora4j.metric;

import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Porter's stemmer (An algorithm for suffix stripping, 1980) with the changes that NLTK makes to
 * it, which {@code rouge_score} uses. Words are in lower case.
 */
final class PorterStemmer {
    /** Words that the rules would get wrong. */
    private static final Map<String, String> IRREGULAR =
            Map.ofEntries(
                    Map.entry("sky", "sky"),
                    Map.entry("skies", "sky"),
                    Map.entry("dying", "die"),
                    Map.entry("lying", "lie"),
                    Map.entry("tying", "tie"),
                    Map.entry("news", "news"),
                    Map.entry("innings", "inning"),
                    Map.entry("inning", "inning"),
                    Map.entry("outings", "outing"),
                    Map.entry("outing", "outing"),
                    Map.entry("cannings", "canning"),
                    Map.entry("canning", "canning"),
                    Map.entry("howe", "howe"),
                    Map.entry("proceed", "proceed"),
                    Map.entry("exceed", "exceed"),
                    Map.entry("succeed", "succeed"));

    private static final Predicate<String> POSITIVE = stem -> measure(stem) > 0;
    private static final Predicate<String> ABOVE_ONE = stem -> measure(stem) > 1;

    private static final List<Rule> PLURALS =
            List.of(
                    new Rule("sses", "ss", null),
                    new Rule("ies", "i", null),
                    new Rule("ss", "ss", null),
                    new Rule("s", "", null));

    private static final List<Rule> STEP_2 =
            List.of(
                    new Rule("ational", "ate", POSITIVE),
                    new Rule("tional", "tion", POSITIVE),
                    new Rule("enci", "ence", POSITIVE),
                    new Rule("anci", "ance", POSITIVE),
                    new Rule("izer", "ize", POSITIVE),
                    new Rule("bli", "ble", POSITIVE),
                    new Rule("alli", "al", POSITIVE),
                    new Rule("entli", "ent", POSITIVE),
                    new Rule("eli", "e", POSITIVE),
                    new Rule("ousli", "ous", POSITIVE),
                    new Rule("ization", "ize", POSITIVE),
                    new Rule("ation", "ate", POSITIVE),
                    new Rule("ator", "ate", POSITIVE),
                    new Rule("alism", "al", POSITIVE),
                    new Rule("iveness", "ive", POSITIVE),
                    new Rule("fulness", "ful", POSITIVE),
                    new Rule("ousness", "ous", POSITIVE),
                    new Rule("aliti", "al", POSITIVE),
                    new Rule("iviti", "ive", POSITIVE),
                    new Rule("biliti", "ble", POSITIVE),
                    new Rule("fulli", "ful", POSITIVE),
                    // the l counts for the stem, so that geologi is stemmed as archaeologi is
                    new Rule("logi", "log", stem -> POSITIVE.test(stem + "l")));

    private static final List<Rule> STEP_3 =
            List.of(
                    new Rule("icate", "ic", POSITIVE),
                    new Rule("ative", "", POSITIVE),
                    new Rule("alize", "al", POSITIVE),
                    new Rule("iciti", "ic", POSITIVE),
                    new Rule("ical", "ic", POSITIVE),
                    new Rule("ful", "", POSITIVE),
                    new Rule("ness", "", POSITIVE));

    private static final List<Rule> STEP_4 =
            List.of(
                    new Rule("al", "", ABOVE_ONE),
                    new Rule("ance", "", ABOVE_ONE),
                    new Rule("ence", "", ABOVE_ONE),
                    new Rule("er", "", ABOVE_ONE),
                    new Rule("ic", "", ABOVE_ONE),
                    new Rule("able", "", ABOVE_ONE),
                    new Rule("ible", "", ABOVE_ONE),
                    new Rule("ant", "", ABOVE_ONE),
                    new Rule("ement", "", ABOVE_ONE),
                    new Rule("ment", "", ABOVE_ONE),
                    new Rule("ent", "", ABOVE_ONE),
                    new Rule(
                            "ion",
                            "",
                            stem ->
                                    measure(stem) > 1
                                            && (stem.endsWith("s") || stem.endsWith("t"))),
                    new Rule("ou", "", ABOVE_ONE),
                    new Rule("ism", "", ABOVE_ONE),
                    new Rule("ate", "", ABOVE_ONE),
                    new Rule("iti", "", ABOVE_ONE),
                    new Rule("ous", "", ABOVE_ONE),
                    new Rule("ive", "", ABOVE_ONE),
                    new Rule("ize", "", ABOVE_ONE));

    private PorterStemmer() {}

    /**
     * What becomes of a suffix; the first rule whose suffix a word has decides.
     *
     * @param condition on what stands before the suffix; null for none
     */
    private record Rule(String suffix, String to, @Nullable Predicate<String> condition) {
        static String apply(List<Rule> rules, String word) {
            for (Rule rule : rules) {
                if (word.endsWith(rule.suffix)) {
                    String stem = cut(word, rule.suffix.length());
                    boolean holds = rule.condition == null || rule.condition.test(stem);
                    return holds ? stem + rule.to : word;
                }
            }
            return word;
        }
    }

    static String stem(String word) {
        String irregular = IRREGULAR.get(word);
        if (irregular != null) {
            return irregular;
        }
        if (word.length() <= 2) {
            return word;
        }
        String stem = finalY(pastOrParticiple(plural(word)));
        stem = Rule.apply(STEP_3, doubleSuffix(stem));
        return doubleL(finalE(Rule.apply(STEP_4, stem)));
    }

    private static String plural(String word) {
        return word.endsWith("ies") && word.length() == 4
                ? cut(word, 1)
                : Rule.apply(PLURALS, word);
    }

    private static String pastOrParticiple(String word) {
        if (word.endsWith("ied")) {
            return cut(word, word.length() == 4 ? 1 : 2);
        }
        if (word.endsWith("eed")) {
            return measure(cut(word, 3)) > 0 ? cut(word, 1) : word;
        }
        String suffix = word.endsWith("ed") ? "ed" : word.endsWith("ing") ? "ing" : "";
        String stem = cut(word, suffix.length());
        if (suffix.isEmpty() || !hasVowel(stem)) {
            return word;
        }
        if (stem.endsWith("at") || stem.endsWith("bl") || stem.endsWith("iz")) {
            return stem + "e";
        }
        if (endsInDoubleConsonant(stem)) {
            return "lsz".indexOf(stem.charAt(stem.length() - 1)) < 0 ? cut(stem, 1) : stem;
        }
        return measure(stem) == 1 && endsInCvc(stem) ? stem + "e" : stem;
    }

    private static String finalY(String word) {
        boolean behindConsonant =
                word.endsWith("y") && word.length() > 2 && isConsonant(word, word.length() - 2);
        return behindConsonant ? cut(word, 1) + "i" : word;
    }

    private static String doubleSuffix(String word) {
        if (word.endsWith("alli") && POSITIVE.test(cut(word, 4))) {
            return doubleSuffix(cut(word, 2));
        }
        return Rule.apply(STEP_2, word);
    }

    private static String finalE(String word) {
        if (!word.endsWith("e")) {
            return word;
        }
        String stem = cut(word, 1);
        int measure = measure(stem);
        return measure > 1 || (measure == 1 && !endsInCvc(stem)) ? stem : word;
    }

    private static String doubleL(String word) {
        return word.endsWith("ll") && measure(cut(word, 1)) > 1 ? cut(word, 1) : word;
    }

    private static String cut(String word, int letters) {
        return word.substring(0, word.length() - letters);
    }

    private static boolean isConsonant(String word, int at) {
        char letter = word.charAt(at);
        if (letter == 'y') {
            return at == 0 || !isConsonant(word, at - 1);
        }
        return "aeiou".indexOf(letter) < 0;
    }

    /** How often a consonant follows a vowel. */
    private static int measure(String stem) {
        int count = 0;
        for (int i = 1; i < stem.length(); i++) {
            count += isConsonant(stem, i) && !isConsonant(stem, i - 1) ? 1 : 0;
        }
        return count;
    }

    private static boolean hasVowel(String stem) {
        for (int i = 0; i < stem.length(); i++) {
            if (!isConsonant(stem, i)) {
                return true;
            }
        }
        return false;
    }

    private static boolean endsInDoubleConsonant(String word) {
        int last = word.length() - 1;
        return last > 0 && word.charAt(last) == word.charAt(last - 1) && isConsonant(word, last);
    }

    /** Consonant, vowel, consonant; of a word of two letters vowel, consonant. */
    private static boolean endsInCvc(String word) {
        int last = word.length() - 1;
        if (word.length() == 2) {
            return !isConsonant(word, 0) && isConsonant(word, 1);
        }
        return last >= 2
                && isConsonant(word, last - 2)
                && !isConsonant(word, last - 1)
                && isConsonant(word, last)
                && "wxy".indexOf(word.charAt(last)) < 0;
    }
}
