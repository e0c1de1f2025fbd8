package org.qlora4j.train;

import java.util.Arrays;
import java.util.List;
import org.qlora4j.config.Overrides;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.run.RunListener;
import org.qlora4j.run.StepMetrics;

/** Main class of the JVMs that {@link KillTest} kills: prints a line when a step is done. */
public final class RunProcess {
    private RunProcess() {}

    /** Arguments: {@code new} or {@code resume}, then settings. */
    public static void main(String[] arguments) {
        List<String> settings = Arrays.asList(arguments).subList(1, arguments.length);
        RunListener listener =
                new RunListener() {
                    @Override
                    public void stepDone(StepMetrics metrics) {
                        System.out.println("step " + metrics.step());
                    }
                };
        RunConfig config = RunConfigReader.of(Overrides.ofWords(settings));
        new TrainingRun(config, arguments[0].equals("resume"), listener).run();
        System.out.println("done");
    }
}
