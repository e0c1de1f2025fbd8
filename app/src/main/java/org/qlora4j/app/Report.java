package org.qlora4j.app;

import java.util.List;

/**
 * One line of {@code qlora doctor}.
 *
 * @param name what was looked at, e.g. {@code CPU}
 * @param value what was found, one line
 */
record Report(String name, String value) {
    /** One subject of {@code qlora doctor}: finds out and says, changes nothing. */
    @FunctionalInterface
    interface Source {
        List<Report> lines();
    }
}
