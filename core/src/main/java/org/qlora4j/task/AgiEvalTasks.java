package org.qlora4j.task;

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** AGIEval: examinations of schools and universities, in groups by language. */
final class AgiEvalTasks {
    private static final List<String> CHINESE =
            List.of(
                    "gaokao_biology",
                    "gaokao_chemistry",
                    "gaokao_chinese",
                    "gaokao_geography",
                    "gaokao_history",
                    "gaokao_mathcloze",
                    "gaokao_mathqa",
                    "gaokao_physics",
                    "jec_qa_ca",
                    "jec_qa_kd",
                    "logiqa_zh");
    private static final List<String> CHOICES =
            List.of(
                    "aqua_rat",
                    "logiqa_en",
                    "lsat_ar",
                    "lsat_lr",
                    "lsat_rc",
                    "sat_en_without_passage",
                    "sat_en",
                    "sat_math");
    private static final List<String> ENGLISH =
            Stream.concat(CHOICES.stream(), Stream.of("gaokao_english", "math")).toList();
    private static final List<String> CLOZE = List.of("gaokao_mathcloze", "math");

    /** Subjects by group. */
    private static final Map<String, List<String>> GROUPS =
            Map.of(
                    "agieval", Stream.concat(CHINESE.stream(), ENGLISH.stream()).toList(),
                    "agieval_cn", CHINESE,
                    "agieval_en", ENGLISH,
                    "agieval_nous", CHOICES);

    private AgiEvalTasks() {}

    /** The text of a task or group file; null if nothing here has that name. */
    static @Nullable String text(String name) {
        List<String> group = GROUPS.get(name);
        if (group != null) {
            return """
            group: %s
            task: [%s]
            aggregate_metric_list:
              - {metric: %s, weight_by_size: true}
            """
                    .formatted(
                            name,
                            String.join(
                                    ", ", group.stream().map(task -> "agieval_" + task).toList()),
                            name.equals("agieval_nous") ? "acc_norm" : "acc");
        }
        String subject = name.startsWith("agieval_") ? name.substring("agieval_".length()) : "";
        if (!CHINESE.contains(subject) && !ENGLISH.contains(subject)) {
            return null;
        }
        return """
        include: %s.yaml
        task: %s
        dataset_path: hails/agieval-%s
        """
                .formatted(
                        CLOZE.contains(subject) ? "_agieval_cloze" : "_agieval",
                        name,
                        subject.replace('_', '-'));
    }
}
