package org.qlora4j.task;

import java.io.Serializable;

/** What a model says to a {@link TaskRequest}. */
public sealed interface TaskResponse extends Serializable {
    /**
     * @param logLikelihood in nats
     * @param greedy whether each token is the likeliest
     */
    record Likelihood(double logLikelihood, boolean greedy) implements TaskResponse {}

    /**
     * @param logLikelihood in nats
     */
    record Rolled(double logLikelihood) implements TaskResponse {}

    /**
     * @param text up to the first stop
     */
    record Generated(String text) implements TaskResponse {}
}
