package org.qlora4j.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.qlora4j.data.Inspection;
import org.qlora4j.train.TinyRun;

class InspectionPageTest {
    @TempDir Path folder;
    private String model = "src/test/resources/tiny-llama";

    private DataInspector.Result inspect(int from, int most, String... lines) throws IOException {
        Path data = folder.resolve("data.jsonl");
        Files.writeString(data, String.join("\n", lines) + "\n");
        return DataInspector.inspect(
                TinyRun.config(
                        folder.resolve("run"),
                        data,
                        "data.dataset_format=input-output",
                        "model.model_name_or_path=" + model),
                from,
                most);
    }

    private static String record(String input, String output) {
        return "{\"input\": \"%s\", \"output\": \"%s\"}".formatted(input, output);
    }

    private static String withoutMarks(String html) {
        return html.replaceAll("(?s)<span[^>]*>|</span>", "");
    }

    @Test
    void textOfTheData_isEscapedAndThePageLoadsNothing() throws IOException {
        model = "embedded"; // its tokenizer knows every byte
        String html =
                inspect(
                                1,
                                10,
                                record(
                                        "<script>alert(1)</script> & \\u202e\\u0007",
                                        "</div><img src=x onerror='a'>\\n"),
                                record("a", "b"))
                        .html();
        assertThat(html)
                .startsWith("<!doctype html>")
                .containsOnlyOnce("<script")
                .doesNotContain("<img", "http:", "https:", "url(", "\u202e", "\u0007")
                .contains("prefers-color-scheme: dark");
        assertThat(withoutMarks(html))
                .contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; \\u202e\\u0007")
                .contains("&lt;/div&gt;&lt;img src=x onerror=&#39;a&#39;&gt;↵");
    }

    @Test
    void whatIsLearnt_isMarkedWithPlaceAndId() throws IOException {
        DataInspector.Result result = inspect(1, 10, record("a", "b"));
        int[] ids = result.inspection().leaves().getFirst().ids(); // <s> a b </s>
        assertThat(result.html())
                .contains("<span class=\"g s\" title=\"0: %d\">&lt;s&gt;</span>".formatted(ids[0]))
                .contains("<span class=\"g n\" title=\"1: %d\">a</span>".formatted(ids[1]))
                .contains("<span class=\"l\" title=\"2: %d\">b</span>".formatted(ids[2]))
                .contains(
                        "<span class=\"l n s\" title=\"3: %d\">&lt;/s&gt;</span>"
                                .formatted(ids[3]));
    }

    @Test
    void recordsWithAFault_areNamedAndTheOthersShown() throws IOException {
        Inspection inspection =
                inspect(1, 10, record("a", "b"), "{\"input\": \"a\"}", record("c", "d"), "{")
                        .inspection();
        assertThat(inspection.findings())
                .filteredOn(Inspection.Finding::refused)
                .extracting(Inspection.Finding::text)
                .anyMatch(text -> text.contains("data.jsonl:2: field output is missing"))
                .anyMatch(text -> text.contains("data.jsonl:4:2: not JSON"))
                .hasSize(2);
        assertThat(inspection.leaves()).extracting(example -> example.line()).containsExactly(1, 3);
    }

    @Test
    void manyExamples_standOnSheetsAndTheRestIsNamed() throws IOException {
        String[] lines = Collections.nCopies(50, record("a", "b")).toArray(String[]::new);
        String html = inspect(3, 41, lines).html();
        assertThat(html.split("<section class=\"sheet\">", -1)).hasSize(1 + 3);
        assertThat(html)
                .contains("All 50 in the order of the data, this page holds 3 to 43; --from 44")
                .contains("<article id=\"e3\">", "<article id=\"e43\">")
                .doesNotContain("id=\"e44\"");
    }
}
