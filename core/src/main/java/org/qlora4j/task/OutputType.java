package org.qlora4j.task;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** What a task asks of a model. */
enum OutputType {
    /** The log-likelihood of a target after a context. */
    LOGLIKELIHOOD(List.of("perplexity", "acc")),
    /** The log-likelihood of each choice; the likeliest is the answer. */
    MULTIPLE_CHOICE(List.of("acc", "acc_norm")),
    /** The log-likelihood of a whole text. */
    LOGLIKELIHOOD_ROLLING(List.of("word_perplexity", "byte_perplexity", "bits_per_byte")),
    /** A continuation up to a stop. */
    GENERATE_UNTIL(List.of("exact_match"));

    private final List<String> defaultMetrics;

    OutputType(List<String> defaultMetrics) {
        this.defaultMetrics = defaultMetrics;
    }

    /** As task files write it. */
    String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    static Optional<OutputType> of(String key) {
        return Arrays.stream(values()).filter(type -> type.key().equals(key)).findFirst();
    }

    /** What is counted where a task file names no metric. */
    List<String> defaultMetrics() {
        return defaultMetrics;
    }
}
