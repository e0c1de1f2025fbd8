package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.judge.Question;
import picocli.CommandLine;

class EvaluationFileTest {
    private static final Path EXAMPLE =
            Path.of("../examples/evaluation/evaluation.yaml").toAbsolutePath().normalize();

    @TempDir Path folder;

    /** Every step of the example is a command line that is understood; nothing is run. */
    @Test
    void example_standsForCommandsThatAreThere() {
        List<EvaluationFile.Step> steps = EvaluationFile.read(EXAMPLE).steps(EXAMPLE);
        assertThat(steps)
                .extracting(step -> String.join(" ", step.args().subList(0, 2)))
                .containsExactly(
                        "train " + EXAMPLE.resolveSibling("captain.yaml"),
                        "eval chat",
                        "eval chat",
                        "eval judge",
                        "eval elo",
                        "eval compare",
                        "eval report");
        CommandLine qlora =
                Main.commandLine(
                        new QloraCommand(
                                new Logging(new PrintWriter(new StringWriter())),
                                new PreparationLine(
                                        new PrintWriter(new StringWriter()),
                                        () -> new Terminal(false, 80))));
        for (EvaluationFile.Step step : steps) {
            assertThat(qlora.parseArgs(step.args().toArray(String[]::new)).unmatched())
                    .as("%s", step)
                    .isEmpty();
        }
        assertThat(Question.read(EXAMPLE.resolveSibling("questions.jsonl"))).hasSize(80);
        assertThat(steps.get(5).args()).contains(EXAMPLE.resolveSibling("style.yaml").toString());
        assertThat(steps.get(6).args()).contains("--comparison");
    }

    private Path file(String text) throws IOException {
        return Files.writeString(folder.resolve("evaluation.yaml"), text);
    }

    @Test
    void unknownKey_isToldWithItsLine() throws IOException {
        Path file =
                file(
                        """
                        version: 1
                        out: runs
                        sistems: {}
                        """);
        assertThatThrownBy(() -> EvaluationFile.read(file))
                .isInstanceOf(FormatException.class)
                .hasMessageEndingWith(
                        "evaluation.yaml:3: unknown key sistems; did you mean systems?");
    }

    @Test
    void trainedSystem_needsARun() throws IOException {
        Path file =
                file(
                        """
                        version: 1
                        out: runs
                        systems: {mine: {model: embedded, trained: true}}
                        """);
        assertThatThrownBy(() -> EvaluationFile.read(file))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("systems.mine is trained; that needs train");
    }
}
