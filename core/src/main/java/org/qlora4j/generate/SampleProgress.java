package org.qlora4j.generate;

/**
 * Where the writing of conversations stands.
 *
 * @param kept conversations that are whole
 * @param wanted conversations asked for
 * @param begun conversations begun, dropped ones too
 * @param empty dropped because a message had no text
 * @param truncated dropped because a message did not end in time
 * @param duplicate dropped because another begins with the same message
 * @param tokens generated so far, those of dropped conversations too
 * @param seconds since the start
 */
public record SampleProgress(
        int kept,
        int wanted,
        int begun,
        int empty,
        int truncated,
        int duplicate,
        long tokens,
        double seconds) {
    /** Tokens generated in a second. */
    public double tokensPerSecond() {
        return tokens / seconds;
    }
}
