package org.qlora4j.app;

import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code qlora completion}: a script that lets the shell complete commands and options. */
@Command(
        name = "completion",
        description = "Print a script that completes commands and options in bash and zsh.",
        footer = {"", "source <(qlora completion)"})
final class CompletionCommand implements Callable<Integer> {
    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        CommandLine self = Objects.requireNonNull(spec, "picocli sets it").commandLine();
        CommandLine root = self.getParent();
        self.getOut().print(AutoComplete.bash(root.getCommandName(), root));
        return ExitCode.OK;
    }
}
