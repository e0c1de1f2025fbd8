package org.qlora4j.config;

import com.fasterxml.jackson.annotation.JsonProperty;
import org.qlora4j.metric.Answers;
import org.qlora4j.metric.ClassScores;
import org.qlora4j.metric.Correlation;

/** What tells the best checkpoint. */
public enum EvalMetric {
    /** Mean of -log p over the label tokens of the held-out examples, in nats. */
    @JsonProperty("eval_loss")
    EVAL_LOSS(""),
    /** Its exponential. */
    @JsonProperty("eval_perplexity")
    EVAL_PERPLEXITY(""),
    /** Share of the held-out texts whose class is told right. */
    @JsonProperty("eval_accuracy")
    EVAL_ACCURACY(ClassScores.ACCURACY),
    /** F1 of class 1 where there are two, else the mean of all. */
    @JsonProperty("eval_f1")
    EVAL_F1(ClassScores.F1),
    /** How predicted classes go with the right ones, by Matthews. */
    @JsonProperty("eval_matthews_correlation")
    EVAL_MATTHEWS_CORRELATION(ClassScores.MATTHEWS),
    /** How predicted numbers go with the right ones. */
    @JsonProperty("eval_pearson")
    EVAL_PEARSON(Correlation.PEARSON),
    /** How their ranks do. */
    @JsonProperty("eval_spearmanr")
    EVAL_SPEARMANR(Correlation.SPEARMAN),
    /** Words that generated answers share with those expected, in percent. */
    @JsonProperty("eval_rougeL")
    EVAL_ROUGE_L(Answers.ROUGE_L),
    /** Share of generated answers that are as expected, in percent. */
    @JsonProperty("eval_exact_match")
    EVAL_EXACT_MATCH(Answers.EXACT_MATCH);

    private final String score;

    EvalMetric(String score) {
        this.score = score;
    }

    /** Its name among the scores of an evaluation; empty for the loss and its exponential. */
    public String score() {
        return score;
    }

    /** Whether more of it is better. */
    public boolean isGreaterBetter() {
        return !score.isEmpty();
    }
}
