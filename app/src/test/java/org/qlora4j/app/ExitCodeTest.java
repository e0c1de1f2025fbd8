package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.ConfigException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParentCommand;

/** What a subcommand's failure looks like from outside. */
class ExitCodeTest {
    private final StringWriter err = new StringWriter();
    private final QloraCommand root =
            new QloraCommand(
                    new Logging(new PrintWriter(err, true)),
                    new PreparationLine(new PrintWriter(err), () -> new Terminal(false, 80)));

    @TempDir Path folder;

    @Test
    void mistakeOfTheUser_isOneLine() {
        int code =
                run(
                        new FailingCommand(() -> {
                            throw new ConfigException("lora.r must be at least 1,\n got 0");
                        }));
        assertThat(code).isEqualTo(2);
        assertThat(err.toString())
                .isEqualTo("qlora: lora.r must be at least 1, got 0" + System.lineSeparator());
    }

    @Test
    void defect_isOneLineAndALogInTheRunFolder() throws Exception {
        int code =
                run(
                        new FailingCommand(() -> {
                            throw new IllegalStateException("tape is\nclosed");
                        }));
        assertThat(code).isEqualTo(1);
        List<String> lines = err.toString().lines().toList();
        assertThat(lines).hasSize(1);
        Path log = onlyFile();
        assertThat(lines.getFirst())
                .isEqualTo(
                        "qlora: internal error: java.lang.IllegalStateException: tape is closed; the stack trace is in "
                                + log);
        assertThat(Files.readString(log))
                .contains("arguments: fail")
                .contains("at org.qlora4j.app.ExitCodeTest");
    }

    @Test
    void errorOfTheJvm_isADefect() throws Exception {
        assertThat(
                        run(
                                new FailingCommand(() -> {
                                    throw new NoClassDefFoundError("org/x/Y");
                                })))
                .isEqualTo(1);
        assertThat(Files.readString(onlyFile())).contains("NoClassDefFoundError");
    }

    @Test
    void wrongValueOfAnOption_isOneLineAndTheHelp() {
        assertThat(run(new FailingCommand(() -> {}), "--steps", "many")).isEqualTo(2);
        assertThat(err.toString().lines())
                .containsExactly(
                        "qlora: Invalid value for option '--steps': 'many' is not an int",
                        "Try 'qlora fail --help'");
    }

    @Test
    void warning_isOneLineAndInfoIsSilent() {
        assertThat(run(new FailingCommand(this::log))).isEqualTo(0);
        assertThat(err.toString().lines())
                .containsExactly("qlora: warning: no bf16 here (java.lang.Error: e)");
    }

    @Test
    void verbose_alsoPrintsInfoWithItsOrigin() {
        assertThat(run(new FailingCommand(this::log), "--verbose")).isEqualTo(0);
        assertThat(err.toString())
                .containsPattern("WARNING +org.qlora4j.kernel: no bf16 here")
                .containsPattern("INFO +org.qlora4j.kernel: kernels: vector")
                .contains("at org.qlora4j.app.ExitCodeTest");
    }

    private void log() {
        Logger logger = Logger.getLogger("org.qlora4j.kernel");
        logger.info("kernels: vector");
        logger.log(Level.WARNING, "no bf16 here", new Error("e"));
    }

    private Path onlyFile() throws Exception {
        try (var files = Files.list(folder)) {
            List<Path> all = files.toList();
            assertThat(all).hasSize(1);
            return all.getFirst();
        }
    }

    private int run(FailingCommand command, String... options) {
        command.folder = folder;
        var arguments = new ArrayList<>(List.of("fail"));
        arguments.addAll(List.of(options));
        var out = new PrintWriter(new StringWriter());
        var commandLine =
                Main.commandLine(root, command).setOut(out).setErr(new PrintWriter(err, true));
        return Main.execute(commandLine, root, arguments.toArray(String[]::new));
    }

    @Command(name = "fail")
    private static final class FailingCommand implements Runnable {
        private final Runnable action;
        private Path folder = Path.of(".");
        @ParentCommand @Nullable QloraCommand qlora;

        @Option(names = "--steps")
        int steps;

        FailingCommand(Runnable action) {
            this.action = action;
        }

        @Override
        public void run() {
            Objects.requireNonNull(qlora).runFolder(folder);
            assertThat(steps).isZero();
            action.run();
        }
    }
}
