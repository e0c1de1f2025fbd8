package org.qlora4j.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.qlora4j.error.ConfigException;
import org.qlora4j.error.FormatException;
import org.qlora4j.error.UserException;

/** What task files may say, and how it is told that one says something that cannot be done. */
class TaskFilesTest {
    private static final String HEAD =
            """
            task: t
            dataset_path: json
            dataset_kwargs: {data_files: {test: t.jsonl}}
            test_split: test
            """;

    @TempDir Path folder;

    private TaskSuite load(String yaml) throws IOException {
        Files.writeString(folder.resolve("t.jsonl"), "{\"q\": \"a\", \"n\": 1}\n");
        Files.writeString(folder.resolve("t.yaml"), yaml);
        return TaskSuite.load(List.of(folder.resolve("t.yaml").toString()), TaskOptions.DEFAULT);
    }

    @Test
    void pythonFunction_isRefusedByNameAndPlace() {
        assertThatThrownBy(() -> load(HEAD + "process_docs: !function utils.process_docs\n"))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining(
                        "t.yaml:5:15: process_docs is the Python function utils.process_docs")
                .hasMessageContaining("never run");
        assertThatThrownBy(() ->
                        load(HEAD + "metric_list: [{metric: acc, aggregation: !function m.agg}]\n"))
                .hasMessageContaining("aggregation is the Python function m.agg");
    }

    /** A function that an including file replaces is nobody's business. */
    @Test
    void replacedFunction_isNotMet() throws IOException {
        Files.writeString(folder.resolve("base"), HEAD + "doc_to_text: !function a.b\n");
        TaskSuite suite = load("include: base\ntask: u\ndoc_to_text: \"{{q}}\"\n");
        assertThat(suite.names()).containsExactly("u");
    }

    @Test
    void mistakes_areToldWithFileAndKey() {
        assertThatThrownBy(() -> load(HEAD + "doc_to_txt: a\n"))
                .hasMessageContaining("unknown key doc_to_txt; did you mean doc_to_text?");
        assertThatThrownBy(() -> load(HEAD + "output_type: choose\n"))
                .hasMessageContaining("output_type choose is not known");
        assertThatThrownBy(() -> load(HEAD + "metric_list: [{metric: bleu}]\n"))
                .hasMessageContaining("metric bleu is not done for generate_until");
        assertThatThrownBy(() -> load(HEAD + "metric_list: [a: b: c]\n"))
                .hasMessageContaining("t.yaml:5:");
        assertThatThrownBy(() -> load("include: t.yaml\n"))
                .hasMessageContaining("do they include themselves?");
        assertThatThrownBy(() -> load(HEAD.replace("test_split: test", "test_split: other")))
                .hasMessageContaining("data_files has no split other");
        assertThatThrownBy(() -> TaskSuite.load(List.of("nobody"), TaskOptions.DEFAULT))
                .isInstanceOf(ConfigException.class)
                .hasMessageContaining("no task is called nobody");
    }

    /** A file may be a stranger's: nothing in it may fill the memory, or go down without end. */
    @Test
    void exhaustingFiles_areRefused() throws IOException {
        assertThatThrownBy(() -> load(HEAD + "metadata: &x [*x]\n"))
                .isInstanceOf(FormatException.class)
                .hasMessageContaining("an alias stands inside of what it means");
        assertThatThrownBy(() -> load(HEAD + "metadata: &x {<<: *x}\n"))
                .isInstanceOf(FormatException.class);
        StringBuilder laughs = new StringBuilder(HEAD).append("metadata:\n  a0: &a0 [1, 1, 1]\n");
        for (int i = 1; i < 16; i++) {
            laughs.append("  a%d: &a%d [*a%d, *a%d, *a%d]\n".formatted(i, i, i - 1, i - 1, i - 1));
        }
        assertThatThrownBy(() -> load(laughs.toString()))
                .hasMessageContaining("more than 200000 values");
        assertThatThrownBy(() -> load(HEAD + "metadata: " + "[".repeat(50_000)))
                .hasMessageContaining("t.yaml:5:")
                .hasMessageContaining("more than 100 deep");
        assertThatThrownBy(() -> load("group: g\ntask: [t]\n" + "# " + "x".repeat(4 << 20)))
                .hasMessageContaining("a task file has at most");
        Files.writeString(folder.resolve("g.yaml"), "group: g\ntask: [g]\n");
        String group = folder.resolve("g.yaml").toString();
        assertThatThrownBy(() -> TaskSuite.load(List.of(group), TaskOptions.DEFAULT))
                .hasMessageContaining("does g hold itself?");
        for (int i = 0; i < 9; i++) {
            String next = "d%d".formatted(i + 1);
            String twice = "include: [%s, %s, %s]\n".formatted(next, next, next);
            Files.writeString(folder.resolve("d" + i), i < 8 ? twice : HEAD);
        }
        assertThatThrownBy(() -> load("include: d0\n"))
                .hasMessageContaining("do they include themselves?");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "repeats: 2000000000|repeats must be from 1 to 10000, got 2000000000",
                "num_fewshot: -1|num_fewshot must be from 0",
                "num_fewshot: 2147483647|2147483647 few-shot examples are asked for",
                "output_type: generate_until#generation_kwargs: {max_gen_toks: 0}|max_gen_toks must be from 1",
                "dataset_path: \"a\\0b\"|no path",
                "output_type: multiple_choice#doc_to_choice: [A, B]#doc_to_target: \"{{ 4294967296 }}\"#num_fewshot: 1|the answer 4294967296 is none of 2 choices",
                "doc_to_target: []#num_fewshot: 1|an empty list for an example",
            })
    void absurdValues_areTold(String keys, String reason) {
        String yaml = keys.replace('#', '\n');
        assertThatThrownBy(
                        () -> {
                            Files.writeString(
                                    folder.resolve("t.jsonl"),
                                    "{\"q\": \"a\", \"n\": 1}\n{\"q\": \"b\", \"n\": 0}\n{\"q\": \"c\", \"n\": 2}\n");
                            String head =
                                    yaml.contains("dataset_path")
                                            ? HEAD.replaceFirst("(?m)^dataset_path.*\\R", "")
                                                    .replaceFirst("(?m)^dataset_kwargs.*\\R", "")
                                            : HEAD;
                            Files.writeString(folder.resolve("v.yaml"), head + yaml + "\n");
                            TaskSuite suite =
                                    TaskSuite.load(
                                            List.of(folder.resolve("v.yaml").toString()),
                                            TaskOptions.DEFAULT);
                            suite.tasks()
                                    .values()
                                    .forEach(t -> t.requests(suite.options(), new Silent()));
                        })
                .isInstanceOf(UserException.class)
                .hasMessageContaining(reason)
                .hasMessageNotContaining("\n");
    }

    private record Silent() implements TaskModel {
        @Override
        public void answer(List<TaskRequest> requests, BiConsumer<Integer, TaskResponse> done) {
            throw new IllegalStateException("nobody asks");
        }

        @Override
        public String chat(List<Map<String, String>> messages, boolean open) {
            return messages.toString();
        }
    }

    @Test
    void anchorsAndMergeKeys_areRead() throws IOException {
        Path file = folder.resolve("m.yaml");
        Files.writeString(file, "a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}\ne: [*x]\nf: !!str 7\n");
        Map<String, Object> keys = TaskYaml.read(TaskFile.of(file));
        assertThat(keys.get("d")).isEqualTo(Map.of("b", 1L, "c", 3L));
        assertThat(keys.get("e")).isEqualTo(List.of(Map.of("b", 1L, "c", 2L)));
    }

    /** Expected: yaml.safe_load of PyYAML 6. */
    @ParameterizedTest
    @CsvSource({
        "yes,true",
        "No,false",
        "on,true",
        "~,null",
        "1_000,1000",
        "0x1F,31",
        "017,15",
        "0b11,3",
        "1.5,1.5",
        "1e5,1e5",
        "1.0e+2,100.0",
        ".5,0.5",
        "null,null",
        "y,y",
        "08,08"
    })
    void plainScalars_areThoseOfPyYaml(String text, String expected) {
        assertThat(String.valueOf(TaskYaml.plain(text))).isEqualTo(expected);
    }

    /** Expected: ast.literal_eval. */
    @Test
    void literals_areRead() {
        assertThat(PythonLiteral.of("['a', \"it's\", 'x\\n\\u00e9' 'y', None, True, -2, 1.5]"))
                .isEqualTo(
                        java.util.Arrays.asList("a", "it's", "x\né" + "y", null, true, -2L, 1.5));
        assertThat(PythonLiteral.of("(1,)")).isEqualTo(List.of(1L));
        assertThat(PythonLiteral.of("('b')")).isEqualTo("b");
        assertThat(PythonLiteral.of("{'a': [1, (2, 3)]}"))
                .isEqualTo(Map.of("a", List.of(1L, List.of(2L, 3L))));
        for (String broken :
                List.of(
                        "[a]",
                        "['a'",
                        "['a' 1]",
                        "'a",
                        "[1]]",
                        "__import__('os')",
                        "'\\U99999999'",
                        "'\\x-1'")) {
            assertThatThrownBy(() -> PythonLiteral.of(broken)).isInstanceOf(FormatException.class);
        }
    }
}
