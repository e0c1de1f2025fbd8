package org.qlora4j.app;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.qlora4j.error.Nearest;
import org.qlora4j.error.Preparation;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/**
 * Entry of the command {@code qlora}: runs a subcommand and turns whatever it throws into one line
 * and an exit code.
 */
public final class Main {
    private Main() {}

    /** Runs one command and ends the JVM with its exit code. Output is UTF-8 in every locale. */
    public static void main(String[] args) {
        VectorModule.load();
        ProcessExit.skipDestructors();
        int exitCode = run(args, utf8(FileDescriptor.out), utf8(FileDescriptor.err));
        // Threads of libraries must not keep a finished command alive.
        System.exit(exitCode);
    }

    /**
     * Runs one command; never throws and never ends the JVM.
     *
     * @param args the arguments, subcommand first
     * @param out takes the results
     * @param err takes log records and the one line of a failure
     * @return a constant of {@link ExitCode}
     */
    public static int run(String[] args, PrintWriter out, PrintWriter err) {
        var root = new QloraCommand(new Logging(err), new PreparationLine(out, Terminal::current));
        return execute(commandLine(root).setOut(out).setErr(err), root, args);
    }

    /** The part of {@link #run} behind the list of subcommands. */
    static int execute(CommandLine commandLine, QloraCommand root, String... args) {
        try {
            return commandLine.execute(args);
        } catch (Throwable thrown) { // picocli hands over exceptions only, no errors
            return report(thrown, root, List.of(args), commandLine.getErr());
        } finally {
            commandLine.getOut().flush();
            commandLine.getErr().flush();
        }
    }

    /** With what the annotations of {@code root} name, and {@code more} annotated subcommands. */
    static CommandLine commandLine(QloraCommand root, Object... more) {
        var commandLine = new CommandLine(root);
        for (Object subcommand : more) {
            commandLine.addSubcommand(subcommand);
        }
        CommandLine train = commandLine.getSubcommands().get("train");
        if (train
                != null) { // flags it does not know may be those of qlora.py, which it reads itself
            train.setUnmatchedOptionsArePositionalParams(true);
        }
        CommandLine launch = commandLine.getSubcommands().get("launch");
        if (launch != null) { // what stands behind train is train's
            launch.setStopAtPositional(true);
        }
        // Only now: picocli passes handlers on to the subcommands that are there.
        HelpPage.install(commandLine, helpWidth(Terminal.told()));
        return commandLine
                .setColorScheme(CommandLine.Help.defaultColorScheme(CommandLine.Help.Ansi.OFF))
                .setExecutionStrategy(parsed -> {
                    root.startLogging();
                    return Preparation.watched(
                            root.preparation(), () -> new CommandLine.RunLast().execute(parsed));
                })
                .setParameterExceptionHandler(
                        (failure, args) -> reportParameter(failure, root, List.of(args)))
                .setExecutionExceptionHandler((failure, command, parsed) ->
                        report(failure, root, parsed.originalArgs(), command.getErr()));
    }

    /** As wide as the window, if that can be read with ease. */
    private static int helpWidth(Terminal terminal) {
        return terminal.interactive() ? Math.min(terminal.columns(), 100) : 80;
    }

    /** One line and where to get help; picocli would print the whole usage. */
    private static int reportParameter(
            ParameterException failure, QloraCommand root, List<String> args) {
        CommandLine command = failure.getCommandLine();
        PrintWriter err = command.getErr();
        if (failure.getCause() != null && Failure.of(failure.getCause()).isPresent()) {
            return report(failure.getCause(), root, args, err);
        }
        err.printf("qlora: %s%n", describe(failure));
        err.printf("Try '%s --help'%n", command.getCommandSpec().qualifiedName());
        return ExitCode.USER_ERROR;
    }

    private static String describe(ParameterException failure) {
        String message = Failure.oneLine(failure.getMessage());
        if (!(failure instanceof UnmatchedArgumentException unmatched)) {
            return message;
        }
        Set<String> subcommands = failure.getCommandLine().getSubcommands().keySet();
        String first = unmatched.getUnmatched().getFirst();
        List<String> nearest = unmatched.getSuggestions();
        if (!subcommands.isEmpty() && !first.startsWith("-")) {
            message = "unknown subcommand '%s'".formatted(first);
            String hint = CommandHints.of(first);
            if (hint != null) {
                return message + "; " + hint;
            }
            String slip = Nearest.of(first, subcommands); // swapped letters, which picocli misses
            nearest =
                    slip != null
                            ? List.of(slip)
                            : nearest.isEmpty() ? List.copyOf(subcommands) : nearest;
        }
        return nearest.isEmpty()
                ? message
                : "%s; did you mean %s?".formatted(message, String.join(" or ", nearest));
    }

    private static int report(
            Throwable thrown, QloraCommand root, List<String> args, PrintWriter err) {
        var mendable = Failure.of(thrown);
        if (mendable.isPresent()) {
            mendable.get().lines().forEach(line -> err.printf("qlora: %s%n", line));
            return ExitCode.USER_ERROR;
        }
        Path log = ErrorLog.write(thrown, args, root.runFolder());
        String where =
                log == null
                        ? "no folder to write the stack trace to"
                        : "the stack trace is in " + log;
        err.printf("qlora: internal error: %s; %s%n", Failure.oneLine(thrown.toString()), where);
        return ExitCode.DEFECT;
    }

    private static PrintWriter utf8(FileDescriptor descriptor) {
        Writer bytes =
                new OutputStreamWriter(new FileOutputStream(descriptor), StandardCharsets.UTF_8);
        return new PrintWriter(Terminal.isWatched() ? new VisibleWriter(bytes) : bytes, true);
    }
}
