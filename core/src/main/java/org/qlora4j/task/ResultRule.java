package org.qlora4j.task;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** Ways of counting that tasks of the library name where the harness has Python code. */
enum ResultRule {
    /** The probability of the true choices among all, of TruthfulQA's mc2. */
    TRUTHFULQA_MC2,
    /** Words and bytes of the field {@code page}, before it is made plain. */
    WIKITEXT,
    /** Which of two sentences is likelier, of CrowS-Pairs. */
    CROWS_PAIRS("likelihood_diff", "pct_stereotype"),
    /** How likely a secret is among others, of {@link Canaries}. */
    CANARIES("exposure", "extracted"),
    /** Whether a generated text ends in the answer to a problem of mathematics. */
    MATH_ANSWER("acc"),
    /** Whether a generated text follows IFEval's instructions. */
    IFEVAL_RULES(
            "prompt_level_strict_acc",
            "inst_level_strict_acc",
            "prompt_level_loose_acc",
            "inst_level_loose_acc");

    private final Set<String> metrics;

    ResultRule(String... metrics) {
        this.metrics = Set.of(metrics);
    }

    /** Whether it counts a metric that the output type alone does not have. */
    boolean counts(String metric) {
        return metrics.contains(metric);
    }

    String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    static Optional<ResultRule> of(String key) {
        return Arrays.stream(values()).filter(rule -> rule.key().equals(key)).findFirst();
    }
}
