package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

class EvalCommandTest {
    @TempDir Path folder;
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();

    /** Three systems, two questions; one verdict is missing. */
    @BeforeEach
    void ratings() throws IOException {
        write("a-vs-b-gpt-4-reviewer-threeclass.jsonl", 1, 1);
        write("b-vs-a-gpt-4-reviewer-threeclass.jsonl", 2, 3);
        write("b-vs-c-gpt-4-reviewer-threeclass.jsonl", 1, -1);
    }

    private void write(String name, int... scores) throws IOException {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < scores.length; i++) {
            text.append(
                    """
                    {"review_id": "r%d", "question_id": %d, "answer1_id": "x", "answer2_id": "y", "score": %d}
                    """
                            .formatted(i, i + 1, scores[i]));
        }
        Files.writeString(folder.resolve(name), text);
    }

    /** By hand: a beats b from 1000 each, and so on in the order of the files. */
    @Test
    void singlePass_isElosFormula() {
        assertThat(
                        run(
                                "eval",
                                "elo",
                                "--ratings",
                                folder.toString(),
                                "--procedure",
                                "single-pass",
                                "--json"))
                .isZero();
        JsonNode json = new JsonMapper().readTree(out.toString());
        double a = 1000;
        double b = 1000;
        for (double points : new double[] {1, 1, 1, 0.5}) {
            double change = 32 * (points - 1 / (1 + Math.pow(10, (b - a) / 400)));
            a += change;
            b -= change;
        }
        assertThat(json.get("a").get("elo").asDouble()).isCloseTo(a, within(1e-9));
        assertThat(json.get("c").get("elo").asDouble()).isLessThan(1000);
        assertThat(err.toString().trim()).isEqualTo("1 ratings without a verdict are left out");
    }

    @Test
    void table_namesProcedureOrdersAndSeed() {
        assertThat(run("eval", "elo", "--ratings", folder.toString(), "--orders", "20")).isZero();
        assertThat(out.toString())
                .startsWith("Elo, procedure history: 5 judgments of 3 systems, 20 orders, seed 42");
    }

    @Test
    void verdictsAlone_haveNoRelativeScores() {
        assertThat(run("eval", "relative", "--ratings", folder.toString())).isEqualTo(2);
        assertThat(err.toString()).contains("use qlora eval elo");
    }

    @Test
    void report_isOnePageWithoutOutsideParts() throws IOException {
        Path page = folder.resolve("page.html");
        assertThat(
                        run(
                                "eval",
                                "report",
                                "--ratings",
                                folder.toString(),
                                "--orders",
                                "10",
                                "--out",
                                page.toString()))
                .isZero();
        assertThat(Files.readString(page)).contains("<svg", "Position bias").doesNotContain("http");
        assertThat(run("eval", "report", "--ratings", folder.toString(), "--out", page.toString()))
                .isEqualTo(2);
        assertThat(err.toString()).contains("--overwrite");
    }

    @Test
    void damagedLine_isNamedWithItsPlace() throws IOException {
        Files.writeString(folder.resolve("a-vs-c-x-reviewer.jsonl"), "{\"question_id\": 1}\n");
        assertThat(run("eval", "elo", "--ratings", folder.toString())).isEqualTo(2);
        assertThat(err.toString()).contains("a-vs-c-x-reviewer.jsonl:1: a rating needs");
        assertThat(err.toString().lines()).hasSize(1);
    }

    @Test
    void emptyFolder_isOneLine() throws IOException {
        Path empty = Files.createDirectory(folder.resolve("empty"));
        assertThat(run("eval", "elo", "--ratings", empty.toString())).isEqualTo(2);
        assertThat(err.toString()).contains("no file named A-vs-B-JUDGE-reviewer.jsonl");
    }

    private int run(String... args) {
        return Main.run(args, new PrintWriter(out, true), new PrintWriter(err, true));
    }
}
