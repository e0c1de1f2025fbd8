package org.qlora4j.app;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code qlora eval}: the commands that measure and compare models. */
@Command(
        name = "eval",
        description =
                "Ask a model evaluation tasks such as MMLU or GLUE's; rank chatbots by the ratings of judges, as the paper does.",
        subcommands = {
            EvalTasksCommand.class,
            EvalGlueCommand.class,
            EvalCompareCommand.class,
            EvalChatCommand.class,
            EvalJudgeCommand.class,
            EvalRateCommand.class,
            EvalContaminationCommand.class,
            EvalBesideCommand.class,
            EvalEloCommand.class,
            EvalRelativeCommand.class,
            EvalAgreeCommand.class,
            EvalReportCommand.class,
            EvalRunCommand.class
        })
final class EvalCommand implements Runnable {
    @Spec @Nullable CommandSpec spec;

    /** {@code qlora eval} alone. */
    @Override
    public void run() {
        var self = Objects.requireNonNull(spec, "picocli sets it");
        String names = String.join(", ", self.subcommands().keySet());
        throw new ParameterException(self.commandLine(), "name a subcommand: " + names);
    }
}
