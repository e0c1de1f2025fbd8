package org.qlora4j.task;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.BiConsumer;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.qlora4j.testing.FuzzChild;
import org.qlora4j.testing.Mutation;
import tools.jackson.databind.json.JsonMapper;

/** Mutated task files and documents, asked of a model that says anything. */
final class TaskFuzz {
    private static final String FILE =
            """
            task: t
            task_alias: &alias a t
            dataset_path: json
            dataset_kwargs: {data_files: {test: docs.jsonl, train: docs.jsonl}}
            test_split: test
            training_split: train
            num_fewshot: 1
            description: "{{ 'Add' if a > 3 else 'Sum' }} {{word}}.\\n"
            metadata: {version: 1.5}
            """;

    private static final List<String> KINDS =
            List.of(
                    """
                    output_type: multiple_choice
                    doc_to_text: "{{a}} and {{ word | trim }}:"
                    doc_to_target: "{{gold}}"
                    doc_to_choice: "{{options}}"
                    fewshot_config: {sampler: first_n, target_delimiter: " "}
                    metric_list:
                      - &norm {metric: acc_norm, higher_is_better: yes}
                      - {<<: *norm, metric: acc}
                      - {metric: f1}
                    """,
                    """
                    output_type: generate_until
                    doc_to_text: "{{word | regex_replace('(a|b)+', '\\\\1', 2)}}:"
                    doc_to_target: "{{options[0]}}"
                    generation_kwargs: {until: ["\\n", "("], do_sample: false, max_gen_toks: 10}
                    repeats: 2
                    filter_list:
                      - name: letters
                        filter:
                          - {function: regex, regex_pattern: "([a-z]+)|([A-Z]+)", group_select: -1}
                          - {function: take_first}
                      - name: vote
                        filter:
                          - {function: multi_choice_regex, regex_pattern: "(\\\\([A-Z]\\\\))", ignore_case: true, ignore_punctuation: true}
                          - {function: majority_vote}
                          - {function: take_first}
                    metric_list:
                      - {metric: exact_match, ignore_case: true, regexes_to_ignore: ["[,e]"]}
                    """,
                    """
                    output_type: loglikelihood_rolling
                    doc_to_text: ""
                    doc_to_target: "{{ word }}"
                    metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]
                    """);

    private static final JsonMapper JSON = JsonMapper.shared();

    /** A value behind its key. */
    private static final Pattern VALUE =
            Pattern.compile(": (\"(?:[^\"\\\\\n]|\\\\.)*\"|[^\\s\"{}\\[\\],&*]+)");

    private static final String DOCUMENTS =
            """
            {"a": 1, "word": "abba x", "gold": 0, "options": ["one", "two"], "choices": ["A", "B"]}
            {"a": 7, "word": "\\\\x41 b", "gold": 1, "options": ["three", "four"], "choices": ["A", "B"]}
            """;

    private static final List<String> PIECES =
            List.of(
                    "null",
                    "true",
                    "-1",
                    "0",
                    "99999999999",
                    "1e400",
                    "[]",
                    "{}",
                    "[1, null]",
                    "\"\"",
                    "'",
                    "\"",
                    "\\",
                    "\\\\",
                    "\n",
                    "  ",
                    "- ",
                    ": ",
                    "#",
                    "*alias",
                    "&x [*x]",
                    "&y [a, a, a, a]",
                    "[*y, *y, *y, *y, *y]",
                    "<<: *norm",
                    "!function utils.x",
                    "!!binary x",
                    "include: t.yaml\n",
                    "group: t\ntask: [t]\n",
                    "{{ options * 99999999 }}",
                    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
                    "{{ word | regex_replace('', word * 999999) }}",
                    "{{ ('a' * 40) | regex_replace('(a|aa|.)*$x', '') }}",
                    "(a+)+$",
                    "((a|b)*)*c",
                    "(?P<n>a)(?(n)b|c)",
                    "(?=(.*))",
                    "(((((((((((((",
                    "[a-",
                    "{9999999999}",
                    "(a{1000}){1000}",
                    "'\\\\U99999999'",
                    "\\\\x-1",
                    "['\\U00110000', 'a']",
                    "([[[[[[[[",
                    "{{",
                    "}}",
                    "{%",
                    "group_select: 99",
                    "k: 99",
                    "function: take_first_k",
                    "sampler: default",
                    "output_type: loglikelihood\n",
                    "num_fewshot: 2147483648\n",
                    "repeats: 0\n",
                    "repeats: -1\n",
                    "%s",
                    "\u0000",
                    "\u0085",
                    "\ud83d\ude00");

    private static final List<String> ANSWERS =
            List.of(
                    "",
                    " ",
                    "one",
                    "(A) one, (B)",
                    "a".repeat(3000) + "!",
                    "ab\n".repeat(500),
                    "\ud800 #### 12",
                    "0".repeat(400));

    private TaskFuzz() {}

    public static void main(String[] arguments) throws IOException {
        Path folder = Files.createTempDirectory("fuzz");
        FuzzChild.main(arguments, seed -> trial(new Random(seed), folder));
        Files.deleteIfExists(folder.resolve("t.yaml"));
        Files.deleteIfExists(folder.resolve("docs.jsonl"));
        Files.deleteIfExists(folder);
    }

    private static void trial(Random random, Path folder) throws IOException {
        String sound = FILE + Mutation.one(KINDS, random);
        String text =
                random.nextInt(4) == 0
                        ? Mutation.text(sound, PIECES, random)
                        : otherValues(sound, random);
        Path file = Files.writeString(folder.resolve("t.yaml"), sendable(text));
        Files.writeString(
                folder.resolve("docs.jsonl"),
                random.nextInt(3) == 0
                        ? sendable(Mutation.text(DOCUMENTS, PIECES, random))
                        : DOCUMENTS);
        TaskOptions options = new TaskOptions(null, 0, random.nextBoolean(), false, null, 1234, 10);
        TaskSuite suite = TaskSuite.load(List.of(file.toString()), options);
        TaskRun.run(suite, new Anything(random), null, answered -> {});
    }

    /** Changes values and leaves the rest sound, so that most are read. */
    private static String otherValues(String sound, Random random) {
        List<MatchResult> values = VALUE.matcher(sound).results().toList();
        MatchResult value = Mutation.one(values, random);
        String piece = Mutation.one(PIECES, random);
        String inner = value.group(1).replaceAll("^\"|\"$", "").replace("\\\\", "\\");
        String other =
                switch (random.nextInt(4)) {
                    case 0 -> piece;
                    case 1 -> JSON.writeValueAsString(piece);
                    default -> JSON.writeValueAsString(Mutation.text(inner, PIECES, random));
                };
        String text = sound.substring(0, value.start(1)) + other + sound.substring(value.end(1));
        return random.nextInt(3) == 0 ? otherValues(text, random) : text;
    }

    /** Half a surrogate pair cannot be written as UTF-8. */
    private static String sendable(String text) {
        return new String(
                text.getBytes(java.nio.charset.StandardCharsets.UTF_8),
                java.nio.charset.StandardCharsets.UTF_8);
    }

    private record Anything(Random random) implements TaskModel {
        @Override
        public void answer(List<TaskRequest> requests, BiConsumer<Integer, TaskResponse> done) {
            for (int i = 0; i < requests.size(); i++) {
                double likelihood = -random.nextDouble() * 50;
                done.accept(
                        i,
                        switch (requests.get(i)) {
                            case TaskRequest.Generate g ->
                                    new TaskResponse.Generated(Mutation.one(ANSWERS, random));
                            case TaskRequest.Rolling r -> new TaskResponse.Rolled(likelihood);
                            default ->
                                    new TaskResponse.Likelihood(likelihood, random.nextBoolean());
                        });
            }
        }

        @Override
        public String chat(List<Map<String, String>> messages, boolean open) {
            return messages.toString();
        }
    }
}
