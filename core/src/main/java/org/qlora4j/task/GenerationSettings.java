package org.qlora4j.task;

import java.io.Serializable;
import java.util.List;

/**
 * How an answer is generated: {@code generation_kwargs}.
 *
 * @param until texts at which the answer is cut
 * @param maxTokens most tokens, {@code max_gen_toks}
 * @param sample whether tokens are drawn; else each is the likeliest
 * @param temperature of drawing
 * @param topP of drawing
 */
public record GenerationSettings(
        List<String> until, int maxTokens, boolean sample, double temperature, double topP)
        implements Serializable {
    static final int MAX_TOKENS = 256;

    public GenerationSettings {
        until = List.copyOf(until);
    }

    /** The texts that end an answer while it is generated. */
    List<String> stopStrings() {
        return until.stream().filter(stop -> !stop.isEmpty()).toList();
    }

    /** A text up to the first stop in it. */
    String cut(String text) {
        String out = text;
        for (String stop : until) {
            int at = stop.isEmpty() ? -1 : out.indexOf(stop);
            out = at < 0 ? out : out.substring(0, at);
        }
        return out;
    }
}
