package org.qlora4j.app;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.qlora4j.error.FormatException;
import org.qlora4j.judge.SystemAnswers;

/** {@code --answers}: files of answers, and folders of them. */
final class AnswerFiles {
    /** How the name of a transcript ends, which lies beside its answers. */
    static final String CALLS = ".calls.jsonl";

    private AnswerFiles() {}

    /** Reads all of them; a system is named as its file. */
    static List<SystemAnswers> read(List<Path> places) {
        List<SystemAnswers> out = new ArrayList<>();
        for (Path place : places) {
            for (Path file : Files.isDirectory(place) ? inFolder(place) : List.of(place)) {
                out.add(SystemAnswers.read(file, SystemAnswers.nameOf(file)));
            }
        }
        return out;
    }

    private static List<Path> inFolder(Path folder) {
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(f -> f.toString().endsWith(".jsonl"))
                    .filter(f -> !f.toString().endsWith(CALLS))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new FormatException("%s cannot be read: %s".formatted(folder, e), e);
        }
    }
}
