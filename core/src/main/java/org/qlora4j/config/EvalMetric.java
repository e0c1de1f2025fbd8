package org.qlora4j.config;

import com.fasterxml.jackson.annotation.JsonProperty;

/** What tells the best checkpoint; of each of them less is better. */
public enum EvalMetric {
    /** Mean of -log p over the label tokens of the held-out examples, in nats. */
    @JsonProperty("eval_loss")
    EVAL_LOSS,
    /** Its exponential. */
    @JsonProperty("eval_perplexity")
    EVAL_PERPLEXITY
}
