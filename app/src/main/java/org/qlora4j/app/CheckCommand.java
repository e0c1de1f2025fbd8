package org.qlora4j.app;

import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.qlora4j.measure.SelfCheck;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code qlora check CONFIG}: a table of differences that must be none, on this machine. */
@Command(
        name = "check",
        description = {
            "Show that loss and gradients are the same however a step is cut into batches, with examples packed into a row or"
                    + " not, with activations kept or recomputed, and with the optimizer's state in memory or paged.",
            "Uses the model and the first examples of the settings; exit code 1 if a difference is beyond its tolerance."
        })
final class CheckCommand implements Callable<Integer> {
    private static final String ROW = "%-30s %-10s %9s %9s %10s %9s  %s";

    @Mixin RunSettings settings = new RunSettings();

    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        var out = Objects.requireNonNull(spec, "picocli sets it").commandLine().getOut();
        List<SelfCheck.Row> rows = SelfCheck.run(settings.read(List.of(), this::errorLine));
        out.printf(ROW + "%n", "two ways", "dtype", "loss", "at most", "gradient", "at most", "");
        for (SelfCheck.Row row : rows) {
            out.printf(
                    ROW + "%n",
                    row.name(),
                    row.dtype(),
                    number(row.loss()),
                    number(row.lossTolerance()),
                    number(row.gradient()),
                    number(row.gradientTolerance()),
                    row.holds() ? "ok" : "DIFFERS");
        }
        out.println("differences are relative; gradient: norm of the difference over the norm");
        return rows.stream().allMatch(SelfCheck.Row::holds) ? ExitCode.OK : ExitCode.DEFECT;
    }

    private void errorLine(String line) {
        Objects.requireNonNull(spec, "picocli sets it")
                .commandLine()
                .getErr()
                .println("qlora: " + line);
    }

    private static String number(double value) {
        return value == 0 ? "0" : String.format(Locale.ROOT, "%.1e", value);
    }
}
