package org.qlora4j.app;

import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Further processes of the command, in JVMs of this JDK. */
final class OwnJvm {
    /** As long as a process may take to save after Ctrl-C, and a little more. */
    private static final int SAVE_SECONDS = 65;

    private OwnJvm() {}

    /** The line that starts the command with these words, with this JVM's flags and class path. */
    static List<String> command(List<String> words) {
        return command(ManagementFactory.getRuntimeMXBean().getInputArguments(), words);
    }

    /** The line that starts the command with these options of the JVM and this class path. */
    static List<String> command(List<String> options, List<String> words) {
        List<String> line = new ArrayList<>();
        line.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        line.addAll(options);
        line.addAll(List.of("-cp", System.getProperty("java.class.path"), Main.class.getName()));
        line.addAll(words);
        return line;
    }

    /** Asks processes to end, and waits until they have saved what they save. */
    static void stop(List<Process> all) {
        all.forEach(Process::destroy);
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SAVE_SECONDS);
        try {
            for (Process process : all) {
                process.waitFor(end - System.nanoTime(), TimeUnit.NANOSECONDS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
