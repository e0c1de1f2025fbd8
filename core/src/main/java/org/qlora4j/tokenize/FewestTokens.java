package org.qlora4j.tokenize;

/**
 * Fewest tokens that a text can become, told without encoding it: its ASCII letters and digits over
 * the most that one token has. A text that is far beyond a model's context is so refused at once.
 *
 * @param most letters and digits of one token; 0 if the tokenizer may lose letters, so that nothing
 *     is known
 */
record FewestTokens(int most) {
    static FewestTokens of(Vocabulary vocabulary, TokenizerLimits limits) {
        boolean each = limits.keepsLetters();
        for (char c = 0; c < 128; c++) {
            boolean spelt =
                    limits.spellsBytes() && vocabulary.id("<0x%02X>".formatted((int) c)) != null;
            each &= !counts(c) || spelt || vocabulary.id(String.valueOf(c)) != null;
        }
        int most = 0;
        if (each) {
            for (String token : vocabulary.tokens()) {
                most = Math.max(most, counted(token));
            }
        }
        return new FewestTokens(most);
    }

    int of(String text) {
        return most == 0 ? 0 : Math.ceilDiv(counted(text), most);
    }

    private static int counted(String text) {
        int counted = 0;
        for (int i = 0; i < text.length(); i++) {
            counted += counts(text.charAt(i)) ? 1 : 0;
        }
        return counted;
    }

    private static boolean counts(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    }
}
