package org.qlora4j.generate;

/** Why a text ended. */
public enum StopReason {
    /** The model said so: its last token is one of those that end a text. */
    END_OF_TEXT,
    /** One of the stop strings came, which the text leaves out. */
    STOP_STRING,
    /** {@code max_new_tokens} were generated. */
    MAX_NEW_TOKENS,
    /** Prompt and answer fill the context that the model was trained for. */
    CONTEXT_FULL,
    /** The receiver of the tokens wanted no more. */
    CANCELLED
}
