package org.qlora4j.task;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.qlora4j.error.FormatException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What IFEval counts (arXiv 2311.07911): whether an answer follows each instruction of its prompt,
 * strictly, and loosely, where a first or last line and Markdown's stars may be too much.
 */
final class InstructionRules {
    private static final Logger LOG = LoggerFactory.getLogger(InstructionRules.class);

    private InstructionRules() {}

    /**
     * The documents all of whose instructions are plain rules. The others need the language of a
     * text, its sentences, or its words as a tokenizer of English cuts them; a line says how many.
     *
     * @throws FormatException if none is left, or they are no documents of IFEval
     */
    static List<Map<String, Object>> checkable(List<Map<String, Object>> documents, String task) {
        Set<String> others = new HashSet<>();
        List<Map<String, Object>> out = new ArrayList<>();
        for (Map<String, Object> document : documents) {
            List<String> unknown =
                    instructions(document).stream().filter(id -> !Instruction.isKnown(id)).toList();
            others.addAll(unknown);
            if (unknown.isEmpty()) {
                out.add(document);
            }
        }
        if (out.isEmpty()) {
            throw FormatException.of(
                    "%s: no document has only instructions that are plain rules", task);
        }
        if (!others.isEmpty()) {
            LOG.warn(
                    "{}: {} of {} documents are left out, whose instructions are no plain rules: {}",
                    task,
                    documents.size() - out.size(),
                    documents.size(),
                    String.join(", ", others.stream().sorted().toList()));
        }
        return out;
    }

    private static List<String> instructions(Map<String, Object> document) {
        if (document.get("instruction_id_list") instanceof List<?> list && !list.isEmpty()) {
            return list.stream().map(String::valueOf).toList();
        }
        throw FormatException.of(
                "ifeval_rules needs documents with instruction_id_list and kwargs; they have %s",
                document.keySet());
    }

    /** Values by metric: 1 or 0 for the prompt, and for each of its instructions. */
    static Map<String, double[]> counts(Map<String, Object> document, String answer) {
        List<String> ids = instructions(document);
        List<?> arguments = document.get("kwargs") instanceof List<?> list ? list : List.of();
        double[] strict = new double[ids.size()];
        double[] loose = new double[ids.size()];
        List<String> variants = variants(answer);
        for (int i = 0; i < ids.size(); i++) {
            Object own = i < arguments.size() ? arguments.get(i) : null;
            Instruction instruction =
                    Instruction.of(ids.get(i), own instanceof Map<?, ?> map ? map : Map.of());
            strict[i] = follows(instruction, answer) ? 1 : 0;
            loose[i] = variants.stream().anyMatch(text -> follows(instruction, text)) ? 1 : 0;
        }
        Map<String, double[]> values = new LinkedHashMap<>();
        values.put("prompt_level_strict_acc", all(strict));
        values.put("inst_level_strict_acc", strict);
        values.put("prompt_level_loose_acc", all(loose));
        values.put("inst_level_loose_acc", loose);
        return values;
    }

    private static boolean follows(Instruction instruction, String answer) {
        return !PythonText.strip(answer).isEmpty() && instruction.isFollowedBy(answer);
    }

    private static double[] all(double[] each) {
        double out = 1;
        for (double one : each) {
            out = Math.min(out, one);
        }
        return new double[] {out};
    }

    /** An answer as it is, without its first line, its last, both; and these without stars. */
    private static List<String> variants(String answer) {
        String[] lines = answer.split("\n", -1);
        List<String> all = List.of(lines);
        int count = lines.length;
        List<String> cut =
                List.of(
                        answer,
                        joined(all.subList(1, count)),
                        joined(all.subList(0, count - 1)),
                        joined(all.subList(Math.min(1, count - 1), count - 1)));
        return Stream.concat(cut.stream(), cut.stream().map(text -> text.replace("*", "")))
                .toList();
    }

    private static String joined(List<String> lines) {
        return PythonText.strip(String.join("\n", lines));
    }
}
