package org.qlora4j.kernel;

import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.helpers.NOPLoggerFactory;

/**
 * Warns that a process computes slowly though it need not: one line, once a process. It goes
 * through SLF4J, and where no provider is set up to stderr, since nobody would see it otherwise.
 */
final class SlowNotice {
    private static final Logger LOG = LoggerFactory.getLogger(Kernels.class);
    private static final Set<String> SAID = ConcurrentHashMap.newKeySet();

    private SlowNotice() {}

    /** Says the line, unless it was said. */
    static void say(String line) {
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
