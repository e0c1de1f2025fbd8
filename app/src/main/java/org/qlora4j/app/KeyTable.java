package org.qlora4j.app;

import java.io.PrintWriter;
import org.qlora4j.config.ConfigKeys;

/** All settings with type, default and meaning, as text. */
final class KeyTable {
    private KeyTable() {}

    static void print(PrintWriter out) {
        for (ConfigKeys.Key key : ConfigKeys.all()) {
            out.printf(
                    "%s (%s, default %s)%n    %s%n",
                    key.name(), key.type(), key.defaultValue(), key.description());
        }
        out.flush();
    }
}
