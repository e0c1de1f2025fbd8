package org.qlora4j.app;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code qlora data}: the commands that make and look at training data. */
@Command(
        name = "data",
        description = "Make training data, or look at it.",
        subcommands = {DataInspectCommand.class, DataSampleCommand.class, DataPlantCommand.class})
final class DataCommand implements Runnable {
    @Spec @Nullable CommandSpec spec;

    /** {@code qlora data} alone. */
    @Override
    public void run() {
        var self = Objects.requireNonNull(spec, "picocli sets it");
        String names = String.join(", ", self.subcommands().keySet());
        throw new ParameterException(self.commandLine(), "name a subcommand: " + names);
    }
}
