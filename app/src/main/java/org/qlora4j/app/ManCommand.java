package org.qlora4j.app;

import java.util.Objects;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code qlora man}: the manual page of all commands. */
@Command(
        name = "man",
        description = "Print the manual page of all commands, for man.",
        footer = {"", "qlora man | man -l -"})
final class ManCommand implements Callable<Integer> {
    @Spec @Nullable CommandSpec spec;

    @Override
    public Integer call() {
        CommandLine self = Objects.requireNonNull(spec, "picocli sets it").commandLine();
        self.getOut().print(ManPage.of(self.getParent()));
        return ExitCode.OK;
    }
}
