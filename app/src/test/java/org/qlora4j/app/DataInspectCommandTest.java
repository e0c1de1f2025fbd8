package org.qlora4j.app;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DataInspectCommandTest {
    @TempDir Path folder;
    private final StringWriter out = new StringWriter();
    private final StringWriter err = new StringWriter();
    private Path data;

    @BeforeEach
    void write() throws IOException {
        data = folder.resolve("mine.jsonl");
        Files.writeString(
                data,
                """
                {"input": "say a: ", "output": "b"}
                {"input": "say b: ", "output": "c"}
                """);
    }

    private int run(String... words) {
        List<String> all = new ArrayList<>(List.of("data", "inspect"));
        all.addAll(List.of(words));
        return Main.run(
                all.toArray(String[]::new), new PrintWriter(out, true), new PrintWriter(err, true));
    }

    @Test
    void dataFile_isReportedAndWrittenAsAPage() throws IOException {
        Path page = folder.resolve("page.html");
        int exit =
                run(
                        data.toString(),
                        "--model",
                        TrainBed.resource("tiny-llama").toString(),
                        "--html",
                        page.toString());
        assertThat(err.toString()).isEmpty();
        assertThat(exit).isZero();
        assertThat(out.toString())
                .contains(data + ": format input-output (the first record has input and output)")
                .contains("examples    2")
                .contains("page        " + page);
        assertThat(Files.readString(page)).contains("mine.jsonl:2");
    }

    @Test
    void pageThatIsThere_isReplacedOnlyWhenAsked() throws IOException {
        Path page = Files.writeString(folder.resolve("page.html"), "mine");
        String[] words = {
            data.toString(),
            "--model",
            TrainBed.resource("tiny-llama").toString(),
            "--html",
            page.toString()
        };
        assertThat(run(words)).isEqualTo(ExitCode.USER_ERROR);
        assertThat(err.toString()).contains("page.html exists; give --overwrite");
        assertThat(Files.readString(page)).isEqualTo("mine");
        List<String> more = new ArrayList<>(List.of(words));
        more.add("--overwrite");
        assertThat(run(more.toArray(String[]::new))).isZero();
        assertThat(Files.readString(page)).startsWith("<!doctype html>");
    }

    @Test
    void recordWithAFault_isNamed() throws IOException {
        Files.writeString(data, "{\"input\": \"a\", \"output\": \"b\"}\n{\"input\": \"a\"}\n");
        Path page = folder.resolve("page.html");
        String model = TrainBed.resource("tiny-llama").toString();
        assertThat(run(data.toString(), "--model", model, "--html", page.toString())).isZero();
        assertThat(out.toString())
                .contains("refused: ")
                .contains("mine.jsonl:2: field output is missing; the record has [input]");
        assertThat(Files.readString(page)).contains("mine.jsonl:2: field output is missing");
    }

    @Test
    void onlyRecordsWithAFault_areOneLine() throws IOException {
        Files.writeString(data, "{\"input\": \"a\"}\n");
        assertThat(run(data.toString(), "--model", TrainBed.resource("tiny-llama").toString()))
                .isEqualTo(ExitCode.USER_ERROR);
        assertThat(err.toString()).contains("mine.jsonl:1: ").hasLineCount(1);
    }
}
