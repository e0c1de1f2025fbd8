package org.qlora4j.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.qlora4j.config.Overrides;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.StepMetrics;
import org.qlora4j.tensor.NativeMemory;

/** Main class of the JVM that {@link MemorySoakTest} measures: prints its memory at each step. */
final class SoakProcess {
    private SoakProcess() {}

    /** Arguments: settings. Lines: step, resident KiB, live tensor bytes, tensors caught. */
    public static void main(String[] settings) {
        RunListener listener =
                new RunListener() {
                    @Override
                    public void stepDone(StepMetrics metrics) {
                        System.out.printf(
                                "%d %d %d %d%n",
                                metrics.step(),
                                residentKib(),
                                NativeMemory.liveBytes(),
                                NativeMemory.freedBySafetyNet());
                    }
                };
        RunConfig config = RunConfigReader.of(Overrides.ofWords(Arrays.asList(settings)));
        new TrainingRun(config, false, listener).run();
    }

    private static long residentKib() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                if (line.startsWith("VmRSS:")) {
                    return Long.parseLong(line.replaceAll("\\D", ""));
                }
            }
            throw new IllegalStateException("/proc/self/status has no VmRSS");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
