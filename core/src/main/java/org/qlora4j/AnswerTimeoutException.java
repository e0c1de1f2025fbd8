package org.qlora4j;

/** An answer took longer than who asked for it would wait. */
public final class AnswerTimeoutException extends RuntimeException {
    AnswerTimeoutException(String message) {
        super(message, null, false, false);
    }
}
