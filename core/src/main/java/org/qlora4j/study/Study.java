package org.qlora4j.study;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.qlora4j.config.RunConfig;
import org.qlora4j.error.ConfigException;

/** One of the paper's studies: what is measured, and how. */
sealed interface Study permits DatatypeStudy, FinetuneStudy {
    /** Names of the studies. */
    List<String> NAMES = List.of("datatypes", "adapters", "precision");

    /**
     * The study of a name.
     *
     * @param settings words {@code key=value} that go before those of the file
     */
    static Study of(String name, StudyConfig config, List<String> settings) {
        List<String> words = new ArrayList<>(config.settings());
        words.addAll(settings);
        return switch (name) {
            case "datatypes" ->
                    new DatatypeStudy(config, RunConfig.of(words.toArray(String[]::new)));
            case "adapters" -> FinetuneStudy.adapters(config, words);
            case "precision" -> FinetuneStudy.precision(config, words);
            default ->
                    throw ConfigException.of(
                            "no study is called %s; there are %s", name, String.join(", ", NAMES));
        };
    }

    /** What it compares, for its page. */
    String title();

    /** All settings that its numbers depend on, so that none are taken from another study. */
    String stamp();

    /** What it measures; the first is what others are compared with. */
    List<StudyCell> cells();

    /**
     * Measures a cell.
     *
     * @param folder for files of its own; what a killed run left there is gone on with
     */
    StudyCell.Result measure(StudyCell cell, Path folder);
}
