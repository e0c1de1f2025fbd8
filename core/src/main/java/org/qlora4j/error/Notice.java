package org.qlora4j.error;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
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

    /** Characters that steer a terminal, which names in strangers' files may hold. */
    private static final Pattern STEERS =
            Pattern.compile("[\\p{Cc}\\u202A-\\u202E\\u2066-\\u2069]");

    private Notice() {}

    /** Says the line, unless it was said. */
    public static void say(String line) {
        if (!SAID.add(line)) {
            return;
        }
        if (LoggerFactory.getILoggerFactory() instanceof NOPLoggerFactory) {
            System.err.println("qlora4j: warning: " + STEERS.matcher(line).replaceAll("?"));
        } else {
            LOG.warn(line);
        }
    }
}
