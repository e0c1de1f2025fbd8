package org.qlora4j.app;

import java.io.PrintWriter;
import java.nio.file.Path;
import org.qlora4j.run.TrainResult;

/**
 * Prints the folder of what was trained, and nothing else.
 *
 * @param out takes the line
 */
record QuietRunView(PrintWriter out) implements RunView {
    @Override
    public void conclude(TrainResult result) {
        Path outcome = result.adapter();
        if (outcome != null) {
            out.println(outcome);
        }
        out.flush();
    }
}
