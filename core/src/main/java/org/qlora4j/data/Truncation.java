package org.qlora4j.data;

import com.fasterxml.jackson.annotation.JsonProperty;

/**
 * What becomes of a record that has more tokens than the limits allow. No policy ever puts an
 * end-of-text token behind an answer that was cut: a model would learn to stop in mid-sentence.
 */
public enum Truncation {
    /**
     * As qlora.py: prompts and answers lose their right end, each at its own limit, chats at the
     * sum of both. An answer that is cut loses its end token.
     */
    @JsonProperty("cut")
    CUT,
    /** Chats lose whole turns from the end; what does not fit even so is left out. */
    @JsonProperty("drop_last_turns")
    DROP_LAST_TURNS,
    /**
     * Chats lose whole turns from the beginning, but never the system message; prompts lose their
     * left end, never the answer; what does not fit even so is left out.
     */
    @JsonProperty("drop_first_turns")
    DROP_FIRST_TURNS,
    /** The record is left out. */
    @JsonProperty("drop")
    DROP,
    /** The record is an error. */
    @JsonProperty("refuse")
    REFUSE
}
