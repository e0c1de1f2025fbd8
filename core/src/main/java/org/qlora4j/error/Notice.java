package org.qlora4j.error;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.helpers.NOPLoggerFactory;

/**
 * A line that a user is to see though nothing failed: once a process. It goes through SLF4J as a
 * warning, and where no provider is set up to stderr, since nobody would see it otherwise.
 */
public final class Notice {
    private static final Logger LOG = LoggerFactory.getLogger(Notice.class);
    private static final Set<String> SAID = ConcurrentHashMap.newKeySet();

    private Notice() {}

    /** Says the line, unless it was said. */
    public static void say(String line) {
        if (!SAID.add(line)) {
            return;
        }
        if (LoggerFactory.getILoggerFactory() instanceof NOPLoggerFactory) {
            System.err.println("qlora4j: warning: " + line);
        } else {
            LOG.warn(line);
        }
    }
}
