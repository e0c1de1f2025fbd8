package org.qlora4j.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ContaminationTest {
    @TempDir Path folder;
    private TaskSuite suite;

    @BeforeEach
    void tasks() throws IOException {
        Files.writeString(
                folder.resolve("questions.jsonl"),
                """
                {"q": "Which of the four seas lies north of the old town, the grey one or the blue?", "a": "grey"}
                {"q": "How many ships sail to the island each day of the week in spring or autumn?", "a": "2"}
                {"q": "What is the tall tower called?", "a": "Ann"}
                {"q": "Why not?", "a": "so"}
                """);
        Files.writeString(
                folder.resolve("seas.yaml"),
                """
                task: seas
                dataset_path: json
                dataset_kwargs: {data_files: {test: questions.jsonl}}
                test_split: test
                output_type: generate_until
                doc_to_text: q
                doc_to_target: a
                """);
        suite =
                TaskSuite.load(
                        List.of(folder.resolve("seas.yaml").toString()), TaskOptions.DEFAULT);
    }

    private Contamination.Result look(String data, int words) throws IOException {
        Path file = folder.resolve("train.jsonl");
        Files.writeString(file, data);
        return Contamination.of(suite, file.toString(), words);
    }

    /**
     * By hand: of the first question's 17 words 14 stand in the second record, so 2 of its 5 runs
     * of 13; the third, of six words, stands there whole, in other case and with other signs.
     */
    @Test
    void sharedRuns_areFoundInNestedTextsWhateverTheirSigns() throws IOException {
        Contamination.Result result =
                look(
                        """
                        {"messages": [{"role": "user", "content": "hello"}]}
                        {"messages": [{"role": "user", "content": "Say: WHICH of the four seas lies north of the old town; the grey ONE? And what is the 'tall tower' called!"}]}
                        """,
                        13);
        assertThat(result.tasks().get("seas")).isEqualTo(new Contamination.Count(3, 2, 1));
        assertThat(result.hits())
                .containsExactly(
                        new Contamination.Hit(
                                "seas",
                                0,
                                0.4,
                                2,
                                "which of the four seas lies north of the old town the grey"),
                        new Contamination.Hit("seas", 2, 1, 2, "what is the tall tower called"));
    }

    @Test
    void otherTexts_shareNothing() throws IOException {
        Contamination.Result result =
                look("{\"text\": \"How many ships sail to the island each week?\"}\n", 13);
        assertThat(result.hits()).isEmpty();
        assertThat(look("{\"text\": \"How many ships sail to the island each week?\"}\n", 8).hits())
                .hasSize(1);
        assertThatThrownBy(() -> look("{\"text\": \"x\"}\n", 2))
                .hasMessage("--words must be at least 5, got 2");
    }
}
