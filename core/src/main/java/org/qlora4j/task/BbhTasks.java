package org.qlora4j.task;

import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.json.JsonMapper;

/**
 * BIG-Bench Hard without examples, as {@code bbh_zeroshot} and, with reasons asked for first,
 * {@code bbh_cot_zeroshot}: 27 subjects, which differ in what is said before a question and in how
 * the answer is found in a text.
 */
final class BbhTasks {
    private static final String PLAIN = "bbh_zeroshot";
    private static final String REASONS = "bbh_cot_zeroshot";

    /** Kind of answer and description by subject. */
    private static final Map<String, String> SUBJECTS = subjects();

    private static final String ANSWER_IS =
            """
            ((?<=The answer is )(.*)(?=.)|(?<=the answer is )(.*)(?=.)|(?<=The answer: )(.*)(?=.)|(?<=The final answer: )(.*)(?=.))\
            """
                    .strip();

    private BbhTasks() {}

    /** The text of a task or group file; null if nothing here has that name. */
    static @Nullable String text(String name) {
        for (String group : new String[] {PLAIN, REASONS}) {
            if (name.equals(group)) {
                return group(group);
            }
            String subject = name.startsWith(group + "_") ? name.substring(group.length() + 1) : "";
            if (SUBJECTS.containsKey(subject)) {
                return subject(group, subject);
            }
        }
        return null;
    }

    private static String group(String group) {
        StringBuilder text = new StringBuilder("group: " + group + "\ntask:\n");
        SUBJECTS.keySet()
                .forEach(subject -> text.append("  - ").append(group + "_" + subject + "\n"));
        return text
                + """
                aggregate_metric_list:
                  - {metric: exact_match, weight_by_size: true, filter_list: flexible-extract}
                """;
    }

    private static String subject(String group, String subject) {
        String[] parts = SUBJECTS.getOrDefault(subject, "|").split("\\|", 2);
        boolean reasons = group.equals(REASONS);
        String flexible =
                """
                  - name: flexible-extract
                    filter:
                      - %s
                      - {function: take_first}
                """
                        .formatted(filter(parts[0], reasons ? -1 : 0));
        String strict =
                reasons
                        ? """
                          - name: strict-match
                            filter:
                              - {function: regex, regex_pattern: %s}
                              - {function: take_first}
                        """
                                .formatted(quoted(ANSWER_IS))
                        : """
                          - name: strict-match
                            filter:
                              - {function: take_first}
                        """;
        return """
        include: _%s.yaml
        task: %s_%s
        dataset_name: %s
        description: %s
        filter_list:
        """
                        .formatted(group, group, subject, subject, quoted(parts[1] + "\n\n"))
                + (reasons ? flexible + strict : strict + flexible);
    }

    /** The step that finds an answer of a kind. */
    private static String filter(String kind, int select) {
        return switch (kind) {
            case "truth" -> regex("\\b(True|False)\\b", select);
            case "yes_no" -> regex("\\b(Yes|No|yes|no)\\b", select);
            case "valid" -> regex("\\b(valid|invalid)\\b", select);
            case "brackets" ->
                    regex("(?<= )([\" \\[\\(<{}>\\)\\]]+)|([\" \\[\\(<{}>\\)\\]]+)", select);
            case "letter" ->
                    """
                    {function: letter_of_input, group_select: %d, ignore_case: true, ignore_punctuation: true, regex_pattern: "(\\\\([A-Z]\\\\))"}\
                    """
                            .formatted(select);
            case "number" ->
                    "{function: written_number, group_select: %d, regex_pattern: \"([-0-9]+)\"}"
                            .formatted(select);
            case "plausible" -> words("no|not plausible", "yes|plausible", select);
            case "truthful" ->
                    words(
                            "no|does not tell the truth|is not telling the truth",
                            "yes|tells the truth|is telling the truth",
                            select);
            case "words" -> "{function: sorted_words}";
            default -> throw new IllegalStateException(kind);
        };
    }

    private static String regex(String pattern, int select) {
        return "{function: regex, group_select: %d, regex_pattern: %s}"
                .formatted(select, quoted(pattern));
    }

    private static String words(String no, String yes, int select) {
        return "{function: map_regex, group_select: %d, ignore_case: true, regex_pattern_to_value: {%s: \"no\", %s: \"yes\"}}"
                .formatted(select, quoted("\\b(" + no + ")\\b"), quoted("\\b(" + yes + ")\\b"));
    }

    /** Text in quotes of YAML, which reads those of JSON. */
    private static String quoted(String text) {
        return new JsonMapper().writeValueAsString(text);
    }

    private static Map<String, String> subjects() {
        Map<String, String> out = new TreeMap<>();
        BuiltInTasks.properties("bbh_subjects.properties")
                .forEach((name, value) -> out.put(String.valueOf(name), String.valueOf(value)));
        return out;
    }
}
