package org.qlora4j;

/** A request came while as many as may were waiting, or the service is about to end. */
public final class BusyException extends RuntimeException {
    BusyException(String message) {
        super(message, null, false, false);
    }
}
