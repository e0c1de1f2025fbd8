package org.qlora4j.task;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import org.qlora4j.task.TaskConfig.DataSource;
import org.qlora4j.task.TaskConfig.Fewshot;
import org.qlora4j.task.TaskConfig.Metric;
import org.qlora4j.task.TaskConfig.Prompt;
import org.qlora4j.template.PythonRegex;

/** Keys of a task file to a {@link TaskConfig}; defaults are the harness'. */
final class TaskConfigReader {
    private static final Set<String> KEYS =
            Set.of(
                    "task",
                    "task_alias",
                    "tag",
                    "group",
                    "dataset_path",
                    "dataset_name",
                    "dataset_kwargs",
                    "training_split",
                    "validation_split",
                    "test_split",
                    "fewshot_split",
                    "process_docs",
                    "doc_to_text",
                    "doc_to_target",
                    "doc_to_choice",
                    "process_results",
                    "description",
                    "target_delimiter",
                    "fewshot_delimiter",
                    "fewshot_config",
                    "num_fewshot",
                    "metric_list",
                    "output_type",
                    "generation_kwargs",
                    "repeats",
                    "filter_list",
                    "should_decontaminate",
                    "doc_to_decontamination_query",
                    "gen_prefix",
                    "unsafe_code",
                    "use_prompt",
                    "metadata");

    /** Ways in which the harness writes the most tokens, the first that is there decides. */
    private static final List<String> MOST_TOKENS =
            List.of("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens");

    private static final int MOST_REPEATS = 10_000;

    private final TaskKeys keys;
    private final TaskFile file;

    private TaskConfigReader(TaskKeys keys, TaskFile file) {
        this.keys = keys;
        this.file = file;
    }

    /**
     * @param values keys of the file with those it includes
     * @throws FormatException naming file and key for what cannot be done
     */
    static TaskConfig read(Map<String, Object> values, TaskFile file) {
        return new TaskConfigReader(new TaskKeys(file.toString(), values), file).read();
    }

    private TaskConfig read() {
        keys.requireKnown(KEYS);
        for (String code : List.of("process_docs", "use_prompt")) {
            if (keys.get(code) != null) { // a function is refused by name in get
                throw keys.wrong("%s is not done; prepare the data beforehand", code);
            }
        }
        if (keys.flag("unsafe_code", false)) {
            throw keys.wrong(
                    "unsafe_code: tasks that run the model's answers as code are not done");
        }
        String name = keys.text("task");
        if (name == null) {
            throw keys.wrong("task is missing; it is the task's name");
        }
        String type = keys.text("output_type", OutputType.GENERATE_UNTIL.key());
        OutputType output =
                OutputType.of(type)
                        .orElseThrow(() ->
                                keys.wrong(
                                        "output_type %s is not known; there are loglikelihood, multiple_choice, loglikelihood_rolling, generate_until",
                                        type));
        Prompt prompt = prompt(keys, null);
        ResultRule rule = rule();
        Object metadata = keys.get("metadata");
        Object version =
                metadata instanceof Map<?, ?> map && map.get("version") != null
                        ? map.get("version")
                        : "Yaml";
        return new TaskConfig(
                name,
                keys.text("task_alias", name),
                output,
                data(),
                prompt,
                fewshot(prompt),
                keys.get("num_fewshot") == null
                        ? null
                        : keys.whole("num_fewshot", 0, 0, Integer.MAX_VALUE),
                generation(prompt),
                keys.whole("repeats", 1, 1, MOST_REPEATS),
                filters(),
                metrics(output, rule),
                rule,
                false,
                version,
                file);
    }

    private @Nullable ResultRule rule() {
        String name = keys.text("process_results");
        return name == null
                ? null
                : ResultRule.of(name)
                        .orElseThrow(() -> keys.wrong("process_results %s is not known", name));
    }

    private DataSource data() {
        String path = keys.text("dataset_path");
        if (path == null) {
            throw keys.wrong("dataset_path is missing; name json or a data set");
        }
        TaskKeys more = keys.mapping("dataset_kwargs");
        Map<String, List<String>> files = new LinkedHashMap<>();
        if (more != null) {
            more.requireKnown(Set.of("data_files", "data_dir", "trust_remote_code", "streaming"));
            if (more.get("data_files") instanceof Map<?, ?>) {
                TaskKeys bySplit = more.mapping("data_files");
                if (bySplit != null) {
                    bySplit.values().keySet().forEach(s -> files.put(s, bySplit.texts(s)));
                }
            } else if (more.get("data_files") != null) {
                files.put("train", more.texts("data_files"));
            }
        }
        DataSource data =
                new DataSource(
                        path,
                        more == null || more.text("data_dir") == null
                                ? keys.text("dataset_name", "")
                                : more.text("data_dir", ""),
                        files,
                        keys.text("training_split"),
                        keys.text("validation_split"),
                        keys.text("test_split"));
        if (data.evaluated() == null) {
            throw keys.wrong("test_split or validation_split must name what is evaluated");
        }
        return data;
    }

    /**
     * @param outer whose parts are taken where these keys have none; null at the top
     */
    private static Prompt prompt(TaskKeys keys, @Nullable Prompt outer) {
        Object text = keys.template("doc_to_text");
        Object target = keys.template("doc_to_target");
        Object choice = keys.template("doc_to_choice");
        if (outer == null) {
            return new Prompt(
                    text == null ? "" : text,
                    target == null ? "" : target,
                    choice,
                    keys.text("description", ""),
                    keys.text("target_delimiter", " "),
                    keys.text("fewshot_delimiter", "\n\n"),
                    keys.text("gen_prefix"));
        }
        String genPrefix = keys.text("gen_prefix");
        return new Prompt(
                text == null ? outer.text() : text,
                target == null ? outer.target() : target,
                choice == null ? outer.choice() : choice,
                outer.description(),
                keys.text("target_delimiter", outer.targetDelimiter()),
                keys.text("fewshot_delimiter", outer.fewshotDelimiter()),
                genPrefix == null ? outer.genPrefix() : genPrefix);
    }

    private Fewshot fewshot(Prompt prompt) {
        String split = keys.text("fewshot_split");
        TaskKeys own = keys.mapping("fewshot_config");
        if (own == null) {
            return new Fewshot(split, null, false, prompt);
        }
        own.requireKnown(
                Set.of(
                        "sampler",
                        "split",
                        "samples",
                        "process_docs",
                        "doc_to_text",
                        "doc_to_choice",
                        "doc_to_target",
                        "gen_prefix",
                        "fewshot_delimiter",
                        "target_delimiter"));
        if (own.get("process_docs") != null) {
            throw own.wrong("process_docs is not done; prepare the data beforehand");
        }
        String sampler = own.text("sampler", "default");
        if (!Set.of("default", "first_n").contains(sampler)) {
            throw own.wrong("sampler %s is not known; there are default and first_n", sampler);
        }
        List<TaskKeys> given = own.mappings("samples");
        List<Map<String, Object>> samples =
                given == null ? null : given.stream().map(TaskKeys::values).toList();
        return new Fewshot(
                own.text("split", split == null ? "" : split).isEmpty()
                        ? null
                        : own.text("split", split == null ? "" : split),
                samples,
                sampler.equals("first_n"),
                prompt(own, prompt));
    }

    private GenerationSettings generation(Prompt prompt) {
        TaskKeys own = keys.mapping("generation_kwargs");
        if (own == null) {
            List<String> until = List.of(prompt.fewshotDelimiter());
            return new GenerationSettings(until, GenerationSettings.MAX_TOKENS, false, 1, 1);
        }
        Set<String> known = new HashSet<>(MOST_TOKENS);
        known.addAll(List.of("until", "do_sample", "temperature", "top_p"));
        own.requireKnown(known);
        int most = GenerationSettings.MAX_TOKENS;
        for (String key : MOST_TOKENS.reversed()) {
            most = own.whole(key, most, 1, Integer.MAX_VALUE);
        }
        double temperature = own.number("temperature", 0);
        boolean sample = own.flag("do_sample", temperature > 0);
        List<String> until =
                own.get("until") == null ? List.of(prompt.fewshotDelimiter()) : own.texts("until");
        return new GenerationSettings(
                until,
                most,
                sample && temperature > 0,
                temperature > 0 ? temperature : 1,
                own.number("top_p", 1));
    }

    private List<FilterChain> filters() {
        List<TaskKeys> chains = keys.mappings("filter_list");
        if (chains == null) {
            return List.of(FilterChain.NONE);
        }
        List<FilterChain> out = new ArrayList<>();
        for (TaskKeys chain : chains) {
            List<TaskKeys> steps = chain.mappings("filter");
            if (steps == null) {
                throw chain.wrong("filter is missing; it lists what an answer passes");
            }
            List<ResponseFilter> filters = steps.stream().map(TaskConfigReader::filter).toList();
            for (int i = 0; i < filters.size(); i++) {
                boolean first = filters.get(i) instanceof ResponseFilter.TakeFirst;
                if (first != (i == filters.size() - 1)) {
                    throw chain.wrong("take_first must be the last filter, and only there");
                }
            }
            out.add(new FilterChain(chain.text("name", "none"), filters));
        }
        return out;
    }

    private static ResponseFilter filter(TaskKeys keys) {
        String function = keys.text("function", "");
        return switch (function) {
            case "take_first" -> new ResponseFilter.TakeFirst();
            case "take_first_k" ->
                    new ResponseFilter.TakeFirstK(keys.whole("k", 1, 1, MOST_REPEATS));
            case "majority_vote" -> new ResponseFilter.MajorityVote();
            case "lowercase" -> ResponseFilter.Change.LOWER;
            case "uppercase" -> ResponseFilter.Change.UPPER;
            case "remove_whitespace" -> ResponseFilter.Change.STRIP;
            case "map" -> {
                TaskKeys table = keys.mapping("mapping_dict");
                Object otherwise = keys.get("default_value");
                yield new ResponseFilter.MapTo(
                        table == null ? Map.of() : table.values(),
                        otherwise == null ? FilterChain.NOTHING : otherwise);
            }
            case "regex" ->
                    new ResponseFilter.Regex(
                            PythonRegex.of(
                                    keys.text("regex_pattern", ResponseFilter.Regex.PATTERN)),
                            keys.whole("group_select", 0),
                            keys.text("fallback", ResponseFilter.Regex.FALLBACK));
            case "multi_choice_regex", "letter_of_input" ->
                    new ResponseFilter.ChoiceLetter(
                            PythonRegex.of(
                                    keys.text("regex_pattern", ResponseFilter.Regex.PATTERN)),
                            keys.whole("group_select", 0),
                            keys.text("fallback", ResponseFilter.Regex.FALLBACK),
                            plainText(keys),
                            function.equals("letter_of_input"));
            case "map_regex" -> mapRegex(keys);
            case "written_number" ->
                    new WrittenNumber(
                            PythonRegex.of(
                                    keys.text("regex_pattern", ResponseFilter.Regex.PATTERN)),
                            keys.whole("group_select", 0),
                            keys.text("fallback", ResponseFilter.Regex.FALLBACK));
            case "sorted_words" -> new SortedWords();
            default ->
                    throw keys.wrong(
                            "function %s is not done; there are regex, take_first, take_first_k, majority_vote, lowercase, uppercase, remove_whitespace, map, map_regex, multi_choice_regex, letter_of_input, written_number, sorted_words",
                            function);
        };
    }

    private static ResponseFilter.PlainText plainText(TaskKeys keys) {
        return new ResponseFilter.PlainText(
                keys.flag("ignore_case", false),
                keys.flag("ignore_punctuation", false),
                keys.texts("regexes_to_ignore").stream().map(PythonRegex::of).toList());
    }

    private static MapRegex mapRegex(TaskKeys keys) {
        TaskKeys table = keys.mapping("regex_pattern_to_value");
        if (table == null || table.values().isEmpty()) {
            throw keys.wrong("regex_pattern_to_value is missing; it maps expressions to answers");
        }
        Map<String, String> values = new LinkedHashMap<>();
        table.values().keySet().forEach(regex -> values.put(regex, table.text(regex, "")));
        return new MapRegex(
                values,
                keys.whole("group_select", 0),
                keys.text("fallback", ResponseFilter.Regex.FALLBACK),
                plainText(keys));
    }

    private List<Metric> metrics(OutputType output, @Nullable ResultRule rule) {
        List<TaskKeys> given = keys.mappings("metric_list");
        if (given == null) {
            return output.defaultMetrics().stream()
                    .map(name ->
                            metric(
                                    new TaskKeys(keys.where(), Map.of("metric", name)),
                                    output,
                                    rule))
                    .toList();
        }
        return given.stream().map(own -> metric(own, output, rule)).toList();
    }

    private Metric metric(TaskKeys own, OutputType output, @Nullable ResultRule rule) {
        String name = own.text("metric", "");
        MetricKind kind =
                MetricKind.of(name)
                        .filter(known ->
                                known.outputs().contains(output)
                                        || (rule != null && rule.counts(name)))
                        .orElseThrow(() ->
                                own.wrong(
                                        "metric %s is not done for %s; there are %s",
                                        name, output.key(), MetricKind.namesFor(output)));
        String wanted = own.text("aggregation", kind.aggregation().key());
        Aggregation aggregation =
                Aggregation.of(wanted)
                        .orElseThrow(() -> own.wrong("aggregation %s is not known", wanted));
        boolean higher = own.flag("higher_is_better", kind.higherIsBetter());
        ExactMatch match =
                new ExactMatch(
                        own.texts("regexes_to_ignore").stream().map(PythonRegex::of).toList(),
                        own.flag("ignore_case", false),
                        own.flag("ignore_punctuation", false),
                        own.flag("ignore_numbers", false));
        return new Metric(name, aggregation, higher, match);
    }
}
