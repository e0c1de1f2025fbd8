package org.qlora4j.app;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.qlora4j.eval.Ratings;
import org.qlora4j.judge.SystemAnswers;

/**
 * How long answers are, by the names that systems have in ratings.
 *
 * @param bySystem answers of a system, by its whole name and by its short one
 */
record AnswerLengths(Map<String, SystemAnswers> bySystem) {
    static AnswerLengths of(List<Path> places) {
        Map<String, SystemAnswers> out = new HashMap<>();
        for (SystemAnswers answers : AnswerFiles.read(places)) {
            out.put(answers.system(), answers);
            out.put(Ratings.shortName(answers.system().replace('_', '-')), answers);
        }
        return new AnswerLengths(out);
    }

    /** Characters of an answer; empty where it is not among the files. */
    OptionalInt of(String system, String question) {
        SystemAnswers answers = bySystem.get(system);
        SystemAnswers.Given given = answers == null ? null : answers.answers().get(question);
        return given == null ? OptionalInt.empty() : OptionalInt.of(given.text().length());
    }
}
