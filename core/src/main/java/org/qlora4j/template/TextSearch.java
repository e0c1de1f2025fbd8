package org.qlora4j.template;

/**
 * Finds a text in another in time linear in both, whatever they are: by the table of Knuth, Morris
 * and Pratt where the wanted text is long, since Java's own search takes the product of the two.
 */
final class TextSearch {
    private static final int SHORT = 32;

    private final String text;
    private final String part;

    /** For each place of the part, how much of its beginning ends there. */
    private final int[] borders;

    TextSearch(String text, String part) {
        this.text = text;
        this.part = part;
        this.borders =
                part.length() <= SHORT || part.length() > text.length() ? new int[0] : table(part);
    }

    private static int[] table(String part) {
        int[] borders = new int[part.length()];
        int matched = 0;
        for (int i = 1; i < borders.length; i++) {
            while (matched > 0 && part.charAt(i) != part.charAt(matched)) {
                matched = borders[matched - 1];
            }
            matched += part.charAt(i) == part.charAt(matched) ? 1 : 0;
            borders[i] = matched;
        }
        return borders;
    }

    /** Where the part occurs first from a place on, -1 if nowhere. */
    int next(int from) {
        if (part.length() > text.length() - from) {
            return -1;
        }
        if (borders.length == 0) {
            return text.indexOf(part, from);
        }
        int matched = 0;
        for (int i = from; i < text.length(); i++) {
            while (matched > 0 && text.charAt(i) != part.charAt(matched)) {
                matched = borders[matched - 1];
            }
            matched += text.charAt(i) == part.charAt(matched) ? 1 : 0;
            if (matched == part.length()) {
                return i - matched + 1;
            }
        }
        return -1;
    }
}
