package org.qlora4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.qlora4j.config.RunConfig;
import org.qlora4j.config.RunConfigReader;
import org.qlora4j.data.Source;
import org.qlora4j.study.StudyConfig;

/** Settings of the examples are whole and name data that is there; no model is needed. */
class ExamplesTest {
    /** Surefire runs in the module's folder. */
    private static final Path EXAMPLES = Path.of("").toAbsolutePath();

    static List<Path> configs() throws IOException {
        return files().stream().filter(file -> !file.startsWith("studies")).toList();
    }

    static List<Path> studies() throws IOException {
        return files().stream().filter(file -> file.startsWith("studies")).toList();
    }

    private static List<Path> files() throws IOException {
        try (Stream<Path> files = Files.walk(EXAMPLES)) {
            return files.filter(file -> file.toString().endsWith(".yaml"))
                    .map(EXAMPLES::relativize)
                    .filter(file -> !file.startsWith("target") && !file.startsWith("src"))
                    .filter(file -> !file.startsWith("cluster")) // ClusterFilesTest reads them
                    .filter(file -> !file.startsWith("evaluation")) // EvaluationFileTest reads it
                    .sorted()
                    .toList();
        }
    }

    /** A test that walks nothing would pass: one line here for each example. */
    @Test
    void examples_areAllFound() throws IOException {
        assertThat(configs())
                .map(Path::toString)
                .containsExactly(
                        "embedded-model/distill.yaml",
                        "embedded-model/train.yaml",
                        "first-run/train.yaml",
                        "guanaco/13b.yaml",
                        "guanaco/33b.yaml",
                        "guanaco/65b.yaml",
                        "guanaco/7b.yaml",
                        "own-data/train.yaml");
        assertThat(studies())
                .map(Path::toString)
                .containsExactly(
                        "studies/adapters.yaml",
                        "studies/datatypes.yaml",
                        "studies/precision.yaml");
    }

    /** Settings that a run can be made of, and the command in the first lines. */
    @ParameterizedTest
    @MethodSource("studies")
    void study_isRead(Path file) throws IOException {
        Path path = EXAMPLES.resolve(file);
        String name = file.getFileName().toString().replace(".yaml", "");
        assertThat(Files.readAllLines(path).getFirst())
                .isEqualTo("#   ./qlora study %s examples/%s --out runs/%s", name, file, name);
        RunConfig config = RunConfig.of(StudyConfig.read(path).settings().toArray(String[]::new));
        assertThat(config.model().modelNameOrPath()).isEqualTo("embedded");
        Path data = EXAMPLES.relativize(Path.of(config.data().dataset().toString()));
        assertThat(EXAMPLES.resolveSibling(data)).exists(); // from the checkout's folder
    }

    @ParameterizedTest
    @MethodSource("configs")
    void config_isReadAndItsDataIsThere(Path file) {
        RunConfig config = RunConfigReader.read(EXAMPLES.resolve(file));
        if (file.startsWith("guanaco")) { // its data lies on the hub; GuanacoTest reads the rest
            assertThat(config.data().dataset().toString())
                    .isEqualTo("timdettmers/openassistant-guanaco");
            return;
        }
        Path data = Path.of(config.data().dataset().toString());
        assertThat(data).startsWith(EXAMPLES.resolve(file).getParent());
        int records = 0;
        try (Source.Rows rows = Source.of(data).open()) {
            while (rows.next() != null) {
                records++;
            }
        }
        assertThat(records).isGreaterThanOrEqualTo(10);
    }

    @ParameterizedTest
    @MethodSource("configs")
    void config_beginsWithItsCommand(Path file) throws IOException {
        List<String> head = Files.readAllLines(EXAMPLES.resolve(file)).subList(0, 3);
        String command = "#   ./qlora train examples/" + file.toString().replace('\\', '/');
        assertThat(head).contains(command);
    }

    /** What the program makes is what stands there, and no held-out mail is learnt from. */
    @Test
    void firstRun_hasTheRowsOfItsProgram() throws IOException {
        List<String> learnt = Files.readAllLines(EXAMPLES.resolve("first-run/data.jsonl"));
        List<String> heldOut = Files.readAllLines(EXAMPLES.resolve("first-run/held-out.jsonl"));
        assertThat(TownHallMail.rows(false)).map(String::strip).isEqualTo(learnt);
        assertThat(TownHallMail.rows(true)).map(String::strip).isEqualTo(heldOut);
        assertThat(heldOut).hasSize(64).doesNotContainAnyElementsOf(learnt);
    }
}
