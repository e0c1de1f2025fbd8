package org.qlora4j.app;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.UserException;
import org.qlora4j.tensor.InstructionSet;

/**
 * Entry of {@code java -jar qlora4j-VERSION.jar}: runs {@link Main} with the options and variables
 * that it needs, as the launcher does. A JVM that has the options goes on by itself. Any other
 * starts a second one, which has its terminal and whose exit code it returns.
 */
public final class Start {
    private Start() {}

    public static void main(String[] args) throws InterruptedException {
        if (ManagementFactory.getRuntimeMXBean().getInputArguments().containsAll(needed())) {
            Main.main(args);
            return;
        }
        int exitCode;
        try {
            exitCode = await(child(List.of(args)).start());
        } catch (UserException e) {
            System.err.println("qlora: " + e.getMessage());
            exitCode = ExitCode.USER_ERROR;
        } catch (IOException e) {
            System.err.println("qlora: no second Java can be started: " + e.getMessage());
            exitCode = ExitCode.USER_ERROR;
        }
        System.exit(exitCode);
    }

    /** Options that a JVM must have to go on by itself; the heap is the user's choice. */
    private static List<String> needed() {
        return JvmSettings.options().stream().filter(o -> !o.startsWith("-Xmx")).toList();
    }

    /** The second JVM: later options win, so the user's stand behind ours. */
    private static ProcessBuilder child(List<String> args) {
        Map<String, String> environment = System.getenv();
        List<String> options = new ArrayList<>(JvmSettings.options());
        options.addAll(InstructionSet.limit().jvmFlags());
        options.add("-Dqlora.command=java -jar " + System.getProperty("java.class.path"));
        options.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        options.addAll(heap(environment.getOrDefault("QLORA_HEAP", "")));
        options.addAll(words(environment.getOrDefault("QLORA_JAVA_OPTS", "")));
        var builder = new ProcessBuilder(OwnJvm.command(options, args)).inheritIO();
        JvmSettings.environment().forEach(builder.environment()::putIfAbsent);
        return builder;
    }

    static List<String> heap(String size) {
        if (!size.isEmpty() && !size.matches("[1-9][0-9]*[kKmMgG]?")) {
            throw ConfigException.of(
                    "QLORA_HEAP must be a size such as 512m or 2g, got '%s'", size);
        }
        return size.isEmpty() ? List.of() : List.of("-Xmx" + size);
    }

    private static List<String> words(String text) {
        return Arrays.stream(text.split("\\s+")).filter(word -> !word.isEmpty()).toList();
    }

    /** Ctrl-C reaches both; a signal to this process alone is passed on. */
    private static int await(Process child) throws InterruptedException {
        Thread onSignal = new Thread(() -> OwnJvm.stop(List.of(child)), "qlora4j-start");
        Runtime.getRuntime().addShutdownHook(onSignal);
        return child.waitFor(); // the hook then finds it ended
    }
}
