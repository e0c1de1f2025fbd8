package org.qlora4j.app;

import java.io.PrintWriter;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * {@code qlora doctor}: what this machine offers, for choosing settings and for reports of defects.
 */
@Command(
        name = "doctor",
        description =
                "Show the JDK, CPU, memory, libtorch, GPU and settings that qlora4j runs with.")
final class DoctorCommand implements Callable<Integer> {
    private static final List<Report.Source> SOURCES =
            List.of(
                    JvmReport::lines,
                    CpuReport::lines,
                    MemoryReport::lines,
                    LibtorchReport::lines,
                    EnvironmentReport::lines);

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        print(SOURCES, out);
        return ExitCode.OK;
    }

    /** A source that fails becomes a line itself: doctor is run where something is broken. */
    static void print(List<Report.Source> sources, PrintWriter out) {
        for (Report.Source source : sources) {
            List<Report> lines;
            try {
                lines = source.lines();
            } catch (RuntimeException | LinkageError broken) {
                lines = List.of(new Report("broken", Failure.oneLine(broken.toString())));
            }
            for (Report line : lines) {
                out.printf("%-16s %s%n", line.name(), line.value());
            }
        }
        out.flush();
    }
}
