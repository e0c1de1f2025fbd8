package org.qlora4j.app;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Further processes of the command, in JVMs like this one. */
final class OwnJvm {
    private OwnJvm() {}

    /** The line that starts the command with these words, with this JVM's flags and class path. */
    static List<String> command(List<String> words) {
        List<String> line = new ArrayList<>();
        line.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        line.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        line.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
        line.addAll(words);
        return line;
    }
}
