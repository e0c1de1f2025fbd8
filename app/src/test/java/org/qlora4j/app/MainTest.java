package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import org.junit.jupiter.api.Test;

class MainTest {
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    @Test
    void version_isTheOneOfTheBuild() {
        assertThat(run("--version")).isEqualTo(0);
        assertThat(out.toString()).matches("qlora4j \\d+\\.\\d+\\.\\d+(-SNAPSHOT)?\\R");
        assertThat(err.toString()).isEmpty();
    }

    @Test
    void help_namesEverySubcommand() {
        assertThat(run("--help")).isEqualTo(0);
        assertThat(out.toString()).contains("Usage: qlora").contains("doctor");
    }

    @Test
    void completion_knowsCommandsAndTheirOptions() {
        assertThat(run("completion")).isEqualTo(0);
        assertThat(out.toString()).contains("complete -F", " qlora", "train", "--dry-run");
    }

    @Test
    void noSubcommand_isOneLineAndTheHelp() {
        assertThat(run()).isEqualTo(2);
        assertThat(err.toString().lines())
                .first()
                .asString()
                .matches("qlora: name a subcommand: .*\\bdoctor\\b.*");
        assertThat(err.toString().lines()).last().isEqualTo("Try 'qlora --help'");
        assertThat(err.toString().lines()).hasSize(2);
        assertThat(out.toString()).isEmpty();
    }

    @Test
    void misspelledSubcommand_namesTheNearest() {
        assertThat(run("docter")).isEqualTo(2);
        assertThat(err.toString().lines())
                .satisfiesExactly(
                        line ->
                                assertThat(line)
                                        .startsWith(
                                                "qlora: unknown subcommand 'docter'; did you mean"
                                                        + " doctor"),
                        line -> assertThat(line).isEqualTo("Try 'qlora --help'"));
    }

    @Test
    void misspelledOption_namesTheNearestAndTheCommand() {
        assertThat(run("doctor", "--verbo")).isEqualTo(2);
        assertThat(err.toString().lines())
                .containsExactly(
                        "qlora: Unknown option: '--verbo'; did you mean --verbose or --version?",
                        "Try 'qlora doctor --help'");
    }

    @Test
    void doctor_printsTheJvmItRunsOn() {
        assertThat(run("doctor")).isEqualTo(0);
        assertThat(out.toString())
                .contains(Runtime.version().toString())
                .contains(System.getProperty("java.home"))
                .containsPattern("(?m)^Vector API +\\d+ bits, \\d+ float lanes$")
                .containsPattern("(?m)^cores +" + Runtime.getRuntime().availableProcessors() + "$")
                .doesNotContain("broken");
    }

    private int run(String... arguments) {
        return Main.run(arguments, new PrintWriter(out), new PrintWriter(err));
    }
}
