package org.qlora4j.app;

import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/**
 * {@code qlora}: the list of subcommands and what they share. A subcommand reaches it through a
 * {@code @ParentCommand QloraCommand} field.
 */
@Command(
        name = "qlora",
        description =
                "Finetune language models whose weights are frozen in 4 bits (QLoRA, arXiv 2305.14314).",
        mixinStandardHelpOptions = true,
        versionProvider = Version.class,
        scope = ScopeType.INHERIT,
        sortOptions = false,
        subcommands = {
            TrainCommand.class,
            LaunchCommand.class,
            GenerateCommand.class,
            ClassifyCommand.class,
            ChatCommand.class,
            ServeCommand.class,
            BenchCommand.class,
            CheckCommand.class,
            ReportCommand.class,
            DataCommand.class,
            ShrinkCommand.class,
            QuantizeCommand.class,
            MergeCommand.class,
            ExportCommand.class,
            PlanCommand.class,
            PerplexityCommand.class,
            EvalCommand.class,
            StudyCommand.class,
            DoctorCommand.class,
            CompletionCommand.class,
            ManCommand.class
        })
final class QloraCommand implements Runnable {
    @Option(
            names = "--verbose",
            scope = ScopeType.INHERIT,
            description = "Log what is chosen and why, on stderr.")
    boolean verbose;

    @Spec @Nullable CommandSpec spec;

    private final Logging logging;
    private final PreparationLine preparation;
    private volatile @Nullable Path runFolder;

    QloraCommand(Logging logging, PreparationLine preparation) {
        this.logging = logging;
        this.preparation = preparation;
        logging.beforeEachRecord(preparation::clear);
    }

    /** Shows stages of long work of every command. */
    PreparationLine preparation() {
        return preparation;
    }

    /** Where log records go; a {@link ProgressLine} asks it to be cleared before each. */
    Logging logging() {
        return logging;
    }

    /** The folder of this run as soon as it is known: the log of a defect goes there. */
    void runFolder(Path folder) {
        runFolder = folder;
    }

    @Nullable Path runFolder() {
        return runFolder;
    }

    void startLogging() {
        logging.start(verbose);
    }

    /** {@code qlora} alone. */
    @Override
    public void run() {
        var self = Objects.requireNonNull(spec, "picocli sets it");
        String names = String.join(", ", self.subcommands().keySet());
        throw new ParameterException(self.commandLine(), "name a subcommand: " + names);
    }
}
