package org.qlora4j.task;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/** Ways of counting that tasks of the library name where the harness has Python code. */
enum ResultRule {
    /** The probability of the true choices among all, of TruthfulQA's mc2. */
    TRUTHFULQA_MC2,
    /** Words and bytes of the field {@code page}, before it is made plain. */
    WIKITEXT;

    String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    static Optional<ResultRule> of(String key) {
        return Arrays.stream(values()).filter(rule -> rule.key().equals(key)).findFirst();
    }
}
