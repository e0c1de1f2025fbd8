package org.qlora4j.task;

import static org.qlora4j.task.OutputType.GENERATE_UNTIL;
import static org.qlora4j.task.OutputType.LOGLIKELIHOOD;
import static org.qlora4j.task.OutputType.LOGLIKELIHOOD_ROLLING;
import static org.qlora4j.task.OutputType.MULTIPLE_CHOICE;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** What can be counted, and how unless a task file says otherwise. */
enum MetricKind {
    ACC(Aggregation.MEAN, true, LOGLIKELIHOOD, MULTIPLE_CHOICE),
    ACC_NORM(Aggregation.MEAN, true, MULTIPLE_CHOICE),
    ACC_BYTES(Aggregation.MEAN, true, MULTIPLE_CHOICE),
    ACC_MUTUAL_INFO(Aggregation.MEAN, true, MULTIPLE_CHOICE),
    EXACT_MATCH(Aggregation.MEAN, true, GENERATE_UNTIL, MULTIPLE_CHOICE),
    BRIER_SCORE(Aggregation.BRIER_SCORE, false, MULTIPLE_CHOICE),
    F1(Aggregation.F1, true, MULTIPLE_CHOICE),
    MCC(Aggregation.MATTHEWS_CORRCOEF, true, MULTIPLE_CHOICE),
    PERPLEXITY(Aggregation.PERPLEXITY, false, LOGLIKELIHOOD),
    WORD_PERPLEXITY(Aggregation.WEIGHTED_PERPLEXITY, false, LOGLIKELIHOOD_ROLLING),
    BYTE_PERPLEXITY(Aggregation.WEIGHTED_PERPLEXITY, false, LOGLIKELIHOOD_ROLLING),
    BITS_PER_BYTE(Aggregation.BITS_PER_BYTE, false, LOGLIKELIHOOD_ROLLING),
    // those that only a ResultRule counts
    LIKELIHOOD_DIFF(Aggregation.MEAN, false),
    PCT_STEREOTYPE(Aggregation.MEAN, false),
    EXPOSURE(Aggregation.MEAN, false),
    EXTRACTED(Aggregation.MEAN, false),
    PROMPT_LEVEL_STRICT_ACC(Aggregation.MEAN, true),
    INST_LEVEL_STRICT_ACC(Aggregation.AGG_INST_LEVEL_ACC, true),
    PROMPT_LEVEL_LOOSE_ACC(Aggregation.MEAN, true),
    INST_LEVEL_LOOSE_ACC(Aggregation.AGG_INST_LEVEL_ACC, true);

    private final Aggregation aggregation;
    private final boolean higherIsBetter;
    private final Set<OutputType> outputs;

    MetricKind(Aggregation aggregation, boolean higherIsBetter, OutputType... outputs) {
        this.aggregation = aggregation;
        this.higherIsBetter = higherIsBetter;
        this.outputs = Set.of(outputs);
    }

    /** As task files write it. */
    String key() {
        return name().toLowerCase(Locale.ROOT);
    }

    Aggregation aggregation() {
        return aggregation;
    }

    boolean higherIsBetter() {
        return higherIsBetter;
    }

    Set<OutputType> outputs() {
        return outputs;
    }

    static Optional<MetricKind> of(String key) {
        return Arrays.stream(values()).filter(kind -> kind.key().equals(key)).findFirst();
    }

    /** Names that an output type has, for messages. */
    static String namesFor(OutputType output) {
        return Arrays.stream(values())
                .filter(kind -> kind.outputs.contains(output))
                .map(MetricKind::key)
                .collect(Collectors.joining(", "));
    }
}
