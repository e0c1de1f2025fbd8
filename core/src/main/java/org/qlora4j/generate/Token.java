package org.qlora4j.generate;

import java.util.List;

/**
 * A token that was chosen.
 *
 * @param logprob its log-probability by the model alone, before any setting; NaN if not asked for
 * @param top the likeliest tokens, likeliest first; empty if not asked for
 */
public record Token(int id, double logprob, List<Scored> top) {
    /** A token and its log-probability. */
    public record Scored(int id, double logprob) {}

    public Token {
        top = List.copyOf(top);
    }
}
